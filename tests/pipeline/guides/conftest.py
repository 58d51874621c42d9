"""One copy of the project in which every guide of this folder was followed, and a day loaded by it.

Belongs here: fixtures. Does not belong here: what must be true of a guide (its own file).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.guides.copies import MADE, followed
from tests.pipeline.harness.homes import Home
from tests.pipeline.harness.stack import Ran


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy after the guides."""
    return followed(list(MADE), tmp_path_factory.mktemp("project") / "hotdash")


@pytest.fixture(scope="session")
def home(project: Path) -> Iterator[Home]:
    """A home below the copy, as after a clone."""
    home = Home(project / ".hotdash", {"PYTHONPATH": str(project)}, folder=project)
    yield home
    home.destroy()


@pytest.fixture(scope="session")
def modes(project: Path) -> dict[Path, int]:
    """Every folder above the copy with its mode before anything ran."""
    return {folder: folder.stat().st_mode for folder in (project, *project.parents, Path("/var/lib"))}


@pytest.fixture(scope="session")
def ran(home: Home, modes: dict[Path, int]) -> Ran:
    """A day loaded by the copy."""
    assert modes
    return home.up(1)
