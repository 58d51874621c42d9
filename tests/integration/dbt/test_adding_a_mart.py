"""docs/how-to/add-a-mart.md done to a copy of the project: the mart builds, keeps the rules, and is an asset."""

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.transform.manifest import prepare_manifest
from tests.dbt_parse import parsed_project
from tests.guides import commands, follow, module_in, run
from tests.integration.dbt.conftest import Dbt, pickled
from tests.integration.dbt.raw import RawShop
from tests.pipeline.harness.homes import copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adding-a-mart")]

GUIDE = "add-a-mart.md"
RULES = "tests/unit/dbt/test_the_project_keeps_its_rules.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, session_home: Path) -> Path:
    """A copy in which the guide was followed, its dbt project parsed."""
    root = copy_of_the_project(tmp_path_factory.mktemp("project") / "hotdash")
    follow(GUIDE, root)
    (root / "dbt_project" / "target").mkdir()
    shutil.copy(parsed_project(session_home) / "partial_parse.msgpack", root / "dbt_project" / "target")
    prepare_manifest(root / "dbt_project")
    return root


def test_the_new_model_keeps_every_rule_of_the_project(project: Path) -> None:
    manifest = json.loads((project / "dbt_project" / "target" / "manifest.json").read_text())
    rules = [rule for name, rule in vars(module_in(project, RULES)).items() if name.startswith("test_")]
    for rule in rules:
        rule(**({"manifest": manifest} if "manifest" in inspect.signature(rule).parameters else {}))
    assert len(rules) > 10


def test_the_new_model_reads_as_the_linter_wants(project: Path) -> None:
    linted = run(".venv/bin/sqlfluff lint dbt_project/models/marts/support/dim_inbox.sql", project)
    assert linted.returncode == 0, linted.stdout


def test_the_new_mart_builds_with_its_tests_and_writes_only_what_changed(
    project: Path, warehouse_url: str, raw: RawShop, query: Any, tmp_path: Path
) -> None:
    folder = project / "dbt_project"
    dbt = Dbt(pickled(folder / "target"), warehouse_url, tmp_path, project=folder)
    raw.put("raw_chatwoot.inboxes", inbox_id=1, name="Shop window", channel_type="Channel::WebWidget")
    assert dbt.build("dim_inbox") == {}
    (before,) = query("select inbox_name, channel, xmin::text from marts_support.dim_inbox")
    assert (before["inbox_name"], before["channel"]) == ("Shop window", "webwidget")
    raw.put("raw_chatwoot.inboxes", inbox_id=2, name="Letters", channel_type="Channel::Email")
    assert dbt.build("dim_inbox") == {}
    first, second = query("select inbox_name, channel, xmin::text from marts_support.dim_inbox order by inbox_id")
    assert (first, second["channel"]) == (before, "email")


def test_the_new_mart_is_an_asset_with_its_check_in_the_nightly_job(project: Path) -> None:
    inventory = project / "tests" / "pipeline" / "inventory.json"
    before = json.loads(inventory.read_text())
    written = run(next(command for command in commands(GUIDE) if "inventory" in command), project)
    assert written.returncode == 0, written.stdout
    after = json.loads(inventory.read_text())
    assert set(after["assets"]) - set(before["assets"]) == {"marts_support/dim_inbox"}
    assert set(after["checks"]) - set(before["checks"]) == {"marts_support/dim_inbox: dim_inbox_rows_are_unique"}
    (job,) = set(after["jobs"]) - set(before["jobs"])
    assert job.startswith("nightly_job: ")
