"""docs/how-to/add-a-room.md done to a copy of the project: the room passes, without floor or picture not."""

from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.guides import commands, follow, run
from tests.pipeline.harness.homes import copy_of_the_project

GUIDE = "add-a-room.md"


pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy in which the guide was followed."""
    root = copy_of_the_project(tmp_path / "hotdash")
    follow(GUIDE, root)
    return root


def test_a_room_with_a_floor_passes_all_that_the_guide_runs(project: Path) -> None:
    for command in commands(GUIDE):
        finished = run(command, project)
        assert finished.returncode == 0, finished.stdout


def test_a_room_without_a_floor_or_a_place_in_the_picture_is_refused_by_name(project: Path) -> None:
    lint, house = commands(GUIDE)
    (project / "docs" / "route.md").write_text((PROJECT_ROOT / "docs" / "route.md").read_text())
    undrawn = run(house, project)
    assert undrawn.returncode == 1
    assert "forecasts is missing in docs/route.md" in undrawn.stdout
    (project / "pyproject.toml").write_text((PROJECT_ROOT / "pyproject.toml").read_text())
    homeless = run(lint, project)
    assert homeless.returncode == 1
    assert "hotdash_pipelines.forecasts" in homeless.stdout
