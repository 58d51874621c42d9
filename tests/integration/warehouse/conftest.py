"""Embedded servers for the warehouse's tests: one that tests share, and one for each that breaks it.

Belongs here: servers. Does not belong here: databases on the session's server (tests/postgres_fixtures.py).
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A home whose server ends with the module."""
    folder = Path(tempfile.mkdtemp(prefix="hotdash-reach-"))
    folder.chmod(0o711)
    yield folder / "home"
    EmbeddedPostgres(folder / "home").destroy()
    shutil.rmtree(folder)


@pytest.fixture
def shared_server(shared_home: Path) -> EmbeddedPostgres:
    """The server that tests of this module share, running."""
    server = EmbeddedPostgres(shared_home, profile="fast")
    server.up()
    return server


@pytest.fixture
def own_server(reachable_tmp: Path) -> Iterator[EmbeddedPostgres]:
    """A server that is not started yet, in a home of its own."""
    server = EmbeddedPostgres(reachable_tmp / "home", profile="fast")
    yield server
    server.destroy()
