"""A whole stack for end-to-end tests: a home, a warehouse, Dagster's database and a stand-in store with a frozen clock.

Belongs here: fixtures, above all the few runs of `hotdash up` that many tests look at. Does not belong here: what the
tests look at (stack.py, homes.py).
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.databases import DEBIAN_15
from tests.pipeline.harness.homes import CommandLines, Home, Reloaded, Served, Spoiled, Stopped, home_in
from tests.pipeline.harness.planted import mend, plant
from tests.pipeline.harness.stack import NOW, SEED, Stack, open_stack

# The store has no news in these minutes: a difference would be the load's own.
LATER = "2026-03-10T12:05:00+00:00"
# In this order: each changes what the one before it left. The longest groups begin first.
TURNS = ("served", "stopped", "spoiled", "again", "loaded", "stormy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what looks at the served home, then at the same home stopped, spoiled and mended; then the rest.

    The pipeline goes before everything else: its tests are the longest, and none should be left alone at the end.
    """

    def turn(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        turns = [place for place, fixture in enumerate(TURNS) if fixture in names]
        if turns:
            return max(turns)
        return len(TURNS) + (0 if item.get_closest_marker("pipeline") else 1)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def loaded(
    request: pytest.FixtureRequest, server: object, session_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack whose last two days were loaded by `hotdash up --no-serve --json`; tests must leave it as it is.

    It is on a separate Postgres 15 where there is one. The embedded server has the other runs of the pipeline.
    """
    admin = request.getfixturevalue("postgres15") if DEBIAN_15.is_dir() else None
    with open_stack(server, session_home, tmp_path_factory.mktemp("loaded"), admin) as stack:
        stack.outcome = stack.up(days=2).json()
        yield stack


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    """A small store, for the tests of one file."""
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


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


@pytest.fixture(scope="session")
def spoiled(stopped: Stopped) -> Iterator[Spoiled]:
    """The stopped home after another load, which found a planted row and told a Slack that stays up."""
    before = stopped.home.layers()
    with stopped.home.server() as server:
        plant(server.url())
    with start_stand_in(seed=SEED, scale=0.001, now=NOW) as slack:
        webhook = {"HOTDASH_SLACK_WEBHOOK_URL": slack.credentials["slack_webhook_url"]}
        ran = stopped.home.up(5, webhook)
        yield Spoiled(stopped.home, ran, slack, before)


@pytest.fixture(scope="session")
def again(stopped: Stopped, spoiled: Spoiled) -> Reloaded:
    """The home after the planted row was removed and the same days were loaded once more, five minutes later."""
    with stopped.home.server() as server:
        mend(server.url())
    ran = stopped.home.up(5, {"HOTDASH_FIXED_NOW": LATER})
    return Reloaded(stopped.home, ran, stopped.home.left_behind(), spoiled.layers_before)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home of the test's own."""
    with home_in(tmp_path) as home:
        yield home
