"""A whole stack for end-to-end tests: a home, a warehouse, Dagster's database and a stand-in store with a frozen clock.

Belongs here: fixtures. Does not belong here: what the tests look at (stack.py).
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.homes import CommandLines, Home, Served, Stopped, home_in
from tests.pipeline.stack import NOW, Stack, open_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what looks at the served home, then at the same home stopped, then spoiled; then the rest.

    The pipeline goes before everything else: its tests are the longest, and none should be left alone at the end.
    """

    def turn(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        for place, fixture in enumerate(("spoiled", "stopped", "served")):
            if fixture in names:
                return 2 - place
        return 3 if item.get_closest_marker("pipeline") else 4

    items.sort(key=turn)


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


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A home in which `hotdash up` loaded five days and serves, every command line of the machine noted meanwhile."""
    with home_in(tmp_path_factory.mktemp("served")) as home, CommandLines() as command_lines:
        command = home.start("up", "--json", "--days", "5")
        command.says("Dagster UI")
        yield Served(home, command, command_lines)


@pytest.fixture(scope="session")
def stopped(served: Served) -> Stopped:
    """The served home after SIGTERM."""
    endpoint = served.home.endpoint()
    code = served.command.end(signal.SIGTERM)
    return Stopped(served.home, served.command, code, served.home.left_behind(), endpoint)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home of the test's own."""
    with home_in(tmp_path) as home:
        yield home
