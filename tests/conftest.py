"""The shared harness: one throw-away home and one embedded server for a whole test session, xdist workers included.

Belongs here: what unit, integration and pipeline tests share. The server starts when a test first asks for it.
`HOTDASH_TEST_HOME` names a home to keep between sessions; unset, a fresh one is made and removed at the end.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import MEMORY, quick_folder

pytest_plugins = ["tests.postgres_fixtures"]

_VARIABLE = "HOTDASH_TEST_HOME"
_PREFIX = "hotdash-tests-"
_OWNED = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's home before any worker starts; workers inherit the variable."""
    # A shell ignores it for what it runs in the background; Dagster hands that on to SIGTERM, and both to each child.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("HOTDASH_") and name != _VARIABLE]:
        del os.environ[name]
    if _VARIABLE not in os.environ:
        _sweep()
        home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=quick_folder()))
        # mkdtemp makes it private; opened, the server's data can stay in it when root runs the tests.
        home.chmod(0o755)
        os.environ[_VARIABLE] = str(home)
        config.stash[_OWNED] = home


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server and remove the home, in the process that made it."""
    home = config.stash.get(_OWNED, None)
    if home is not None:
        _remove(home)
        os.environ.pop(_VARIABLE, None)


def _remove(home: Path) -> None:
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    EmbeddedPostgres(home).destroy()
    shutil.rmtree(home, ignore_errors=True)


def _sweep() -> None:
    """Remove the homes of test sessions that were killed before they could."""
    for home in (home for folder in (tempfile.gettempdir(), MEMORY) for home in Path(folder).glob(f"{_PREFIX}*")):
        pid = home.name.removeprefix(_PREFIX).split("-")[0]
        if home.stat().st_uid == os.geteuid() and pid.isdigit() and not _runs(int(pid)):
            print(f"removing {home}, left by a killed test session", file=sys.stderr)
            _remove(home)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@pytest.fixture(scope="session")
def session_home() -> Path:
    """The home that the whole test session shares."""
    return Path(os.environ[_VARIABLE])


@pytest.fixture
def reachable_tmp() -> Iterator[Path]:
    """A folder that other users may pass through, unlike pytest's own: a server started by root works inside it."""
    folder = Path(tempfile.mkdtemp(prefix="hotdash-reach-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
