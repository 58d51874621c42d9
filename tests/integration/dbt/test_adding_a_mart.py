"""docs/how-to/add-a-mart.md done to a copy of the project: the mart builds, keeps the rules, and is an asset."""

import inspect
import json
import os
import shlex
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hotdash_pipelines.transform.manifest import prepare_manifest
from tests.dbt_parse import parsed_project
from tests.guides import blocks, follow
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


def rules_of(project: Path) -> ModuleType:
    """The rules as they stand in the copy."""
    spec = util.spec_from_file_location("rules_of_the_copy", project / RULES)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(project: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the guide, its leading variables set."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    program = [word.replace(".venv/bin", str(Path(sys.executable).parent)) for word in words if "=" not in word]
    return subprocess.run(
        program,
        cwd=project,
        env={**os.environ, **variables, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_new_model_keeps_every_rule_of_the_project(project: Path) -> None:
    manifest = json.loads((project / "dbt_project" / "target" / "manifest.json").read_text())
    rules = [rule for name, rule in vars(rules_of(project)).items() if name.startswith("test_")]
    for rule in rules:
        rule(**({"manifest": manifest} if "manifest" in inspect.signature(rule).parameters else {}))
    assert len(rules) > 10


def test_the_new_model_reads_as_the_linter_wants(project: Path) -> None:
    linted = run(project, ".venv/bin/sqlfluff lint dbt_project/models/marts/support/dim_inbox.sql")
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
    (command,) = [block.text for block in blocks(GUIDE) if block.text.startswith("WRITE_INVENTORY")]
    written = run(project, command)
    assert written.returncode == 0, written.stdout
    after = json.loads(inventory.read_text())
    assert set(after["assets"]) - set(before["assets"]) == {"marts_support/dim_inbox"}
    assert set(after["checks"]) - set(before["checks"]) == {"marts_support/dim_inbox: dim_inbox_rows_are_unique"}
    (job,) = set(after["jobs"]) - set(before["jobs"])
    assert job.startswith("nightly_job: ")
