"""A whole stack for end-to-end tests: a home, a warehouse, Dagster's database and a stand-in store with a frozen clock.

Belongs here: fixtures. Does not belong here: what the tests look at (stack.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.stack import NOW, Stack, open_stack


@pytest.fixture(scope="session")
def loaded(server: object, session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose first three days were loaded by `hotdash up --no-serve --json`; tests must leave it as it is."""
    with open_stack(server, session_home, tmp_path_factory.mktemp("loaded")) as stack:
        stack.outcome = stack.up(days=3).json()
        yield stack


@pytest.fixture
def stack(server: object, session_home: Path, tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own, nothing loaded yet."""
    with open_stack(server, session_home, tmp_path) as stack:
        yield stack


@pytest.fixture(scope="session")
def now() -> object:
    """The frozen present of every stack."""
    return NOW
