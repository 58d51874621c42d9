"""Every channel does the whole: enqueue, route, compose, deliver; and one that fails costs itself alone."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.alerts import (
    Alert,
    Delivery,
    FailedRun,
    Links,
    deliver_everywhere,
    enqueue,
    failed_run_alert,
    kinds,
)
from hotdash_pipelines.alerts import delivery as delivering
from hotdash_pipelines.alerts.channels.channel import ChannelKind, Destination
from hotdash_pipelines.alerts.channels.kinds import ChannelRecordError, kind_of
from hotdash_pipelines.services.connections import alert_destinations
from hotdash_pipelines.settings import Settings
from tests.integration.alerts.harness.loopback import LEADING_TO, SECRET, Loopback, loopback
from tests.integration.alerts.harness.threads import Conn, rows

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
EVERY_CHANNEL = tuple(kinds())
Set = Callable[..., tuple[Destination, ...]]


def alert(key: str = "run-1") -> Alert:
    run = FailedRun(key, key, "nightly_job", "prod", "team:data", NOW, reason="the <source> is away")
    return failed_run_alert(run, Links("http://127.0.0.1:3000", "https://docs.example.org/docs"))


@pytest.fixture
def servers() -> Iterator[Mapping[str, Loopback]]:
    """A server a channel."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(loopback()) for name in EVERY_CHANNEL}


@pytest.fixture
def lead(servers: Mapping[str, Loopback], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """The destinations of settings that have the named channels lead to their servers."""

    def lead_to(*names: str) -> tuple[Destination, ...]:
        monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
        for name in names:
            for variable, value in LEADING_TO[name](servers[name].port).items():
                monkeypatch.setenv(variable, value)
        return alert_destinations(Settings())

    return lead_to


def test_every_channel_has_settings_that_lead_to_loopback() -> None:
    assert set(LEADING_TO) == set(kinds())


@pytest.mark.parametrize("name", EVERY_CHANNEL)
def test_every_channel_takes_an_alert_from_the_outbox_to_its_server(
    name: str, warehouse: Conn, servers: Mapping[str, Loopback], lead: Set
) -> None:
    destinations = lead(name)
    [destination] = [destination for destination in destinations if destination.is_configured]
    assert destination.kind == name
    kind_of(name).validate(destination)
    assert SECRET not in repr(destination) + str(destination.way)
    assert enqueue(warehouse, alert(), NOW, destinations)
    assert not enqueue(warehouse, alert(), NOW, destinations)
    assert rows(warehouse, "channel, state") == [(name, "pending")]
    assert deliver_everywhere(warehouse, destinations, NOW) == Delivery(sent=1)
    assert deliver_everywhere(warehouse, destinations, NOW) == Delivery()
    [text] = servers[name].texts
    [(number,)] = rows(warehouse, "id")
    for part in ("[prod] nightly_job failed", "2026-03-10 09:00 UTC", "team:data", "/runs/run-1", f"alert {number}"):
        assert part in text, part


def test_an_alert_is_told_once_by_every_channel_that_is_set(
    warehouse: Conn, servers: Mapping[str, Loopback], lead: Set
) -> None:
    destinations = lead(*EVERY_CHANNEL)
    enqueue(warehouse, alert(), NOW, destinations)
    assert not enqueue(warehouse, alert(), NOW, destinations)
    assert deliver_everywhere(warehouse, destinations, NOW) == Delivery(sent=len(EVERY_CHANNEL))
    assert [len(servers[name].accepted) for name in EVERY_CHANNEL] == [1] * len(EVERY_CHANNEL)


@pytest.mark.parametrize("broken", EVERY_CHANNEL)
@pytest.mark.parametrize("status", [503, 404, 400])
def test_a_channel_that_fails_costs_itself_and_is_named(
    broken: str, status: int, warehouse: Conn, servers: Mapping[str, Loopback], lead: Set
) -> None:
    destinations = lead(*EVERY_CHANNEL)
    servers[broken].status = status
    for key in ("run-1", "run-2", "run-3"):
        enqueue(warehouse, alert(key), NOW, destinations)
    done = deliver_everywhere(warehouse, destinations, NOW)
    assert done.sent == 3 * (len(EVERY_CHANNEL) - 1)
    for name in EVERY_CHANNEL:
        assert len(servers[name].accepted) == (0 if name == broken else 3)
    state = "dead" if status == 400 else "pending"
    failed = warehouse.execute(
        "select channel, state, last_error from ops.alert_outbox where last_error is not null"
    ).fetchall()
    assert {(channel, state_) for channel, state_, _ in failed} == {(broken, state)}
    assert all(f"answered {status}" in error and SECRET not in error for *_, error in failed)
    assert done.undeliverable == (3 if status == 404 else 0)
    servers[broken].status = 200
    deliver_everywhere(warehouse, destinations, NOW + timedelta(minutes=10))
    # What is dead waits for `hotdash alerts retry`; all else arrives, once.
    assert len(servers[broken].accepted) == (0 if status == 400 else 3)
    assert all(len(servers[name].accepted) == 3 for name in EVERY_CHANNEL if name != broken)


@pytest.mark.parametrize("broken", EVERY_CHANNEL)
@pytest.mark.parametrize("part", ["compose", "open_courier"])
def test_a_fault_in_a_channels_own_code_costs_itself_and_is_named(
    broken: str,
    part: str,
    warehouse: Conn,
    servers: Mapping[str, Loopback],
    lead: Set,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> Any:
        raise KeyError(SECRET)

    def faulty(name: str) -> ChannelKind:
        return replace(kind_of(name), **{part: fail}) if name == broken else kind_of(name)

    destinations = lead(*EVERY_CHANNEL)
    enqueue(warehouse, alert(), NOW, destinations)
    monkeypatch.setattr(delivering, "kind_of", faulty)
    assert deliver_everywhere(warehouse, destinations, NOW).sent == len(EVERY_CHANNEL) - 1
    [(channel, state, error)] = warehouse.execute(
        "select channel, state, last_error from ops.alert_outbox where last_error is not null"
    ).fetchall()
    assert (channel, state) == (broken, "pending")
    assert error.removeprefix("undeliverable: ").startswith(broken)
    assert "KeyError" in error
    assert SECRET not in error
    monkeypatch.undo()
    assert deliver_everywhere(warehouse, destinations, NOW + timedelta(seconds=30)) == Delivery(sent=1)


def test_an_alert_for_a_channel_that_is_none_is_refused_and_one_that_got_in_is_seen(warehouse: Conn, lead: Set) -> None:
    destinations = lead("slack")
    with pytest.raises(ChannelRecordError, match="no alert channel is called 'pigeon'"):
        enqueue(warehouse, replace(alert(), channel="pigeon"), NOW, destinations)
    enqueue(warehouse, alert(), NOW, destinations)
    warehouse.execute("update ops.alert_outbox set channel = 'pigeon'")
    assert deliver_everywhere(warehouse, destinations, NOW) == Delivery(waiting=1, undeliverable=1)
    assert rows(warehouse, "last_error") == [("undeliverable: no alert channel has this name",)]


def test_without_any_channel_alerts_wait_where_they_are_seen(warehouse: Conn, lead: Set) -> None:
    destinations = lead()
    enqueue(warehouse, alert(), NOW, destinations)
    assert deliver_everywhere(warehouse, destinations, NOW) == Delivery(waiting=1, undeliverable=1)
    [(channel, error)] = rows(warehouse, "channel, last_error")
    assert channel == "slack"
    assert error.startswith("undeliverable: no Slack is configured")
