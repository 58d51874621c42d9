"""docs/how-to/add-an-sla-type.md done to the letter to a copy of the project: the new type goes the whole way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.guides import blocks, follow
from tests.pipeline.harness.homes import copy_of_the_project

GUIDE = "add-an-sla-type.md"
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adding-an-sla-type")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_of_the_project(tmp_path_factory.mktemp("project") / "hotdash")
    follow(GUIDE, root)
    return root


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOTDASH_", "PYTEST_"))}
    environment = {**kept, "PYTHONPATH": str(project), "HOTDASH_HOME": str(project / ".hotdash")}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def test_the_guide_names_this_test() -> None:
    assert "tests/integration/sla/test_adding_a_type.py" in (PROJECT_ROOT / "docs" / "how-to" / GUIDE).read_text()


def test_the_commands_of_the_guide_end_green(project: Path) -> None:
    (commands,) = [block.text.splitlines() for block in blocks(GUIDE) if not block.file]
    assert len(commands) == 3
    for command in commands:
        program, *arguments = command.split()
        module = {"hotdash": "hotdash_pipelines.cli", "pytest": "pytest"}[program]
        done = run(project, module, *arguments)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "How many alerts of the last `window_hours` were given up." in (project / "docs" / "slas.md").read_text()
    listed = run(project, "pytest", "--collect-only", "-q", "tests/integration/sla/test_every_type.py").stdout
    assert "in_a_few_words[alerts_given_up]" in listed, "the tests saw the type"
    assert "28 definitions" in run(project, "hotdash_pipelines.cli", "sla", "validate").stdout


@pytest.mark.parametrize(
    "whole, half, said",
    [
        ('title="alerts reach nobody",', "", "SLA type alerts_given_up (hotdash_pipelines.sla.observers.given_up."),
        ('name="alerts_given_up"', 'name="queue_age"', "SLA type queue_age is registered twice"),
        ('name="alerts_given_up"', 'name="given_up"', "hardly_any_alert_given_up: type: Input should be"),
    ],
)
def test_half_of_it_is_refused_by_name(project: Path, whole: str, half: str, said: str) -> None:
    observer = project / "hotdash_pipelines" / "sla" / "observers" / "given_up.py"
    text = observer.read_text()
    assert text.count(whole) == 1
    observer.write_text(text.replace(whole, half))
    try:
        done = run(project, "hotdash_pipelines.cli", "sla", "validate")
    finally:
        observer.write_text(text)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_the_toy_type_is_in_the_shipped_project() -> None:
    assert not (PROJECT_ROOT / "hotdash_pipelines" / "sla" / "observers" / "given_up.py").exists()
    assert not (PROJECT_ROOT / "slas" / "alerts.yaml").exists()
