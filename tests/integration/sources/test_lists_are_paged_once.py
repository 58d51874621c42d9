"""Contacts have no filter: a client that reads window after window pages their list once, not once a window."""

from datetime import UTC, date, datetime, timedelta

from hotdash_pipelines.base.windows import days_ending
from hotdash_pipelines.sources import fetcher
from hotdash_pipelines.sources.held import NOTHING
from tests.integration.sources.conftest import Bench, contract_of

NEWEST = date(2026, 11, 19)
TODAY = "2026-11-20"


def read(bench: Bench, client: object, key: str) -> tuple[list[object], int]:
    """The contacts of a window, and the requests that they took."""
    window = bench.window(key).asked_at(bench.store.clock.now())
    fetched = fetcher("chatwoot", "contacts")(client, contract_of("chatwoot", "contacts"), window, NOTHING)
    return bench.records(fetched), fetched.requests


def client_of(bench: Bench) -> object:
    return bench.client("chatwoot", clock=bench.store.clock.now)


def test_windows_after_the_oldest_cost_no_request_and_hold_what_they_would_alone(bench: Bench) -> None:
    client, keys = client_of(bench), days_ending(NEWEST, 20)
    together = [read(bench, client, key) for key in keys]
    assert together[0][1] > 1
    assert {requests for _, requests in together[1:]} == {0}
    alone = [read(bench, client_of(bench), key)[0] for key in keys]
    assert [rows for rows, _ in together] == alone
    assert sum(map(len, alone)) > 20


def test_a_window_before_the_kept_ones_or_far_after_them_is_read(bench: Bench) -> None:
    client, keys = client_of(bench), days_ending(NEWEST, 60)
    assert read(bench, client, keys[20])[1] > 0
    for key in (keys[10], keys[50]):
        rows, requests = read(bench, client, key)
        assert requests > 0
        assert rows == read(bench, client_of(bench), key)[0]


def test_who_writes_after_the_list_was_read_is_in_the_open_day(bench: Bench) -> None:
    client = client_of(bench)
    (yesterday,) = days_ending(NEWEST, 1)
    rows, _ = read(bench, client, yesterday)
    support = bench.store.world.support
    asleep = max(
        (one for one in support.conversations() if one.last_activity_at < bench.window(yesterday).start.timestamp()),
        key=lambda one: one.last_activity_at,
    )
    began = datetime.fromtimestamp(asleep.last_activity_at, UTC)
    assert began > datetime(2026, 11, 1, tzinfo=UTC) - timedelta(days=30)
    support.receive(asleep.display_id, "Hello, is there any news?")
    today, requests = read(bench, client, TODAY)
    assert requests > 0
    assert asleep.contact.id in {one["id"] for one in today if isinstance(one, dict)}
    assert read(bench, client, yesterday) == (rows, 0)
