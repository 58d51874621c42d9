"""docs/how-to/add-a-check.md done to a copy of the project: the check is beside its asset and fails on broken rows."""

import json
import shutil
from pathlib import Path

import pytest

from hotdash_pipelines.quality import load_suite, load_suites, run_suite
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.databases import fresh_database
from tests.dbt_parse import parsed_project
from tests.guides import commands, follow, module_in, run
from tests.integration.quality.shop_tables import NOW, PROJECT
from tests.pipeline.harness.homes import copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("suites")]

GUIDE = "add-a-check.md"
BREAKING = "tests/integration/quality/test_suites_catch_broken_values.py"
SUITE, CHECK = "raw_shopify.orders", "order_names_are_unique"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the guide was followed."""
    root = copy_of_the_project(tmp_path_factory.mktemp("project") / "hotdash")
    follow(GUIDE, root)
    return root


def test_the_new_check_passes_and_its_case_breaks_it_alone(
    project: Path, server: EmbeddedPostgres, small_shop: str
) -> None:
    suites = load_suites(project / "expectations")
    cases = module_in(project, BREAKING).BREAKS
    assert set(cases) == {(suite.name, check) for suite in suites for check in suite.checks}
    suite = load_suite(project / "expectations" / f"{SUITE}.json")
    with fresh_database(server.url("postgres"), small_shop) as url:
        assert [finding.check for finding in run_suite(suite, url, None, PROJECT, now=NOW) if not finding.passed] == []
        with connect(url) as conn:
            conn.execute(cases[SUITE, CHECK].encode())
        (failed,) = (finding for finding in run_suite(suite, url, None, PROJECT, now=NOW) if not finding.passed)
    assert failed.check == CHECK
    assert failed.unexpected_count


def test_the_new_check_is_an_asset_check_of_the_nightly_job(project: Path, session_home: Path) -> None:
    shutil.copytree(parsed_project(session_home), project / "dbt_project" / "target")
    inventory = project / "tests" / "pipeline" / "inventory.json"
    before = json.loads(inventory.read_text())
    written = run(next(command for command in commands(GUIDE) if "inventory" in command), project)
    assert written.returncode == 0, written.stdout
    after = json.loads(inventory.read_text())
    assert set(after["checks"]) - set(before["checks"]) == {f"raw_shopify/orders: {CHECK}"}
    (job,) = set(after["jobs"]) - set(before["jobs"])
    assert job.startswith("nightly_job: ")
