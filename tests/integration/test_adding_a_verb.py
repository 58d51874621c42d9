"""docs/how-to/add-a-verb.md done to a copy of the project, to the letter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.guides import GUIDES, follow
from tests.pipeline.harness.homes import copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adding-a-verb"), pytest.mark.timeout(300)]

GUIDE = "add-a-verb.md"
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project after the guide's five steps."""
    root = copy_of_the_project(tmp_path_factory.mktemp("project") / "hotdash")
    follow(GUIDE, root)
    return root


def run(project: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOTDASH_")}
    environment |= {"PYTHONPATH": str(project), **settings}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_guide_names_this_test() -> None:
    assert "tests/integration/test_adding_a_verb.py" in (GUIDES / GUIDE).read_text()


def test_the_new_verb_answers(project: Path, tmp_path: Path) -> None:
    done = run(
        project, sys.executable, "-m", "hotdash_pipelines.cli", "scratch", "list", "--json", HOTDASH_HOME=str(tmp_path)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"files": []}


def test_style_and_import_rules_hold_with_the_new_verb(project: Path) -> None:
    for tool in (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("lint-imports", "--no-cache")):
        done = run(project, str(TOOLS / tool[0]), *tool[1:])
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_of_all_verbs_and_its_own_hold(project: Path) -> None:
    files = ("test_verbs.py", "test_help_pages.py", "test_scratch.py")
    done = run(
        project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0",
        *(f"tests/unit/cli/{name}" for name in files),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "scratch" in (project / "tests/unit/cli/test_verbs.py").read_text()


def test_a_dangerous_verb_that_is_not_listed_fails_the_tests(project: Path) -> None:
    """The step that is easily forgotten."""
    tests = project / "tests/unit/cli/test_verbs.py"
    before = tests.read_text()
    tests.write_text(before.replace('    ("scratch", "clear"): (),\n', ""))
    try:
        done = run(
            project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0",
            f"{tests}::test_every_dangerous_verb_is_tried_here",
        )  # fmt: skip
    finally:
        tests.write_text(before)
    assert done.returncode == 1
    assert "scratch" in done.stdout


def test_nothing_of_the_toy_verb_is_in_the_shipped_project() -> None:
    assert not (PROJECT_ROOT / "hotdash_pipelines" / "cli" / "scratch.py").exists()
