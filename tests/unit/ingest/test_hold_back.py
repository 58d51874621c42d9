"""An empty answer is no deletion: what an answer without most of the rows does to the partition it might replace."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.ingest.hold_back import Doubt
from hotdash_pipelines.ingest.run import BadData, Ingested, ingest_window, is_due
from hotdash_pipelines.lake.partition import partitions, read_manifest
from hotdash_pipelines.sources.registry import Fetched
from hotdash_pipelines.storage import FolderStore
from tests.synthetic import FETCHED_AT, KEY, PROJECT, contract_of, synthetic, window, write

TRAFFIC = contract_of("ga4", "traffic_daily")
INBOXES = contract_of("chatwoot", "inboxes")
CONVERSATIONS = contract_of("chatwoot", "conversations")
ORDERS = contract_of("shopify", "orders")
EMPTY = {
    TRAFFIC: b'{"rowCount": 0}',
    INBOXES: b'{"payload": []}',
    CONVERSATIONS: b'{"payload": []}',
    ORDERS: b'{"data": {"orders": {"nodes": []}}}',
}
NEXT_KEY = "2025-03-02"
ALL = list(EMPTY)
NAMES = [f"{contract.source}/{contract.stream}" for contract in ALL]


def traffic(rows: int) -> bytes:
    dimensions = [["20250301", "Direct", f"source {number}", "(none)", "(not set)"] for number in range(rows)]
    return orjson.dumps(
        {
            "rowCount": rows,
            "rows": [
                {"dimensionValues": [{"value": text} for text in row], "metricValues": [{"value": "1"}] * 6}
                for row in dimensions
            ],
        }
    )


class Source:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, page: bytes, expected: int | None = None) -> None:
        self.pages, self.expected, self.asked = [page], expected, 0

    def fetch(
        self, _client: object, _contract: Contract, _window: Window, _before: Callable[[], object], _pages: object
    ) -> Fetched:
        self.asked += 1
        return Fetched([self.pages[min(self.asked, len(self.pages)) - 1]], 1, None, "v", self.expected)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


def had(store: FolderStore, contract: Contract, rows: int = 10) -> None:
    write(store, contract, synthetic(contract, rows))


def ingest(
    store: FolderStore,
    contract: Contract,
    source: Source,
    at: datetime = FETCHED_AT + timedelta(days=1),
    key: str = KEY,
    doubt: Doubt = Doubt(),  # noqa: B008 - it is frozen
) -> Ingested:
    return ingest_window(contract, None, source.fetch, store, PROJECT, window(key), at, doubt=doubt)


def rows(store: FolderStore, contract: Contract, key: str = KEY) -> int | None:
    manifest = read_manifest(store, contract, PROJECT, key)
    return manifest.rows[contract.stream] if manifest else None


@pytest.mark.parametrize("contract", [TRAFFIC, INBOXES], ids=["ga4/traffic_daily", "chatwoot/inboxes"])
def test_an_empty_answer_is_held_back_and_believed_when_a_later_read_says_the_same(
    store: FolderStore, contract: Contract
) -> None:
    had(store, contract)
    first = FETCHED_AT + timedelta(days=1)
    held = ingest(store, contract, Source(EMPTY[contract]), first)
    assert held.held_back == "0 rows came where 10 were"
    assert rows(store, contract) == 10
    at_once = ingest(store, contract, Source(EMPTY[contract]), first + timedelta(minutes=59))
    assert at_once.held_back
    assert rows(store, contract) == 10
    later = ingest(store, contract, Source(EMPTY[contract]), first + timedelta(minutes=60))
    assert later.held_back is None
    assert rows(store, contract) == 0


def test_a_date_whose_answer_was_held_back_is_due_until_it_is_settled(store: FolderStore) -> None:
    had(store, TRAFFIC)
    newest = window("2025-05-01")
    settled = FETCHED_AT + timedelta(days=3)
    write(store, TRAFFIC, synthetic(TRAFFIC, 10), fetched_at=settled)
    assert not is_due(TRAFFIC, window(), newest, read_manifest(store, TRAFFIC, PROJECT, KEY))
    ingest(store, TRAFFIC, Source(EMPTY[TRAFFIC]), settled + timedelta(days=1))
    assert is_due(TRAFFIC, window(), newest, read_manifest(store, TRAFFIC, PROJECT, KEY))
    ingest(store, TRAFFIC, Source(traffic(9)), settled + timedelta(days=2))
    manifest = read_manifest(store, TRAFFIC, PROJECT, KEY)
    assert rows(store, TRAFFIC) == 9
    assert not is_due(TRAFFIC, window(), newest, manifest)


def test_what_was_held_back_leaves_what_is_loaded_as_it_is(store: FolderStore) -> None:
    had(store, TRAFFIC)
    before = read_manifest(store, TRAFFIC, PROJECT, KEY)
    ingest(store, TRAFFIC, Source(EMPTY[TRAFFIC]))
    after = read_manifest(store, TRAFFIC, PROJECT, KEY)
    assert before is not None
    assert after is not None
    assert (after.content_digest(), after.fetched_at) == (before.content_digest(), before.fetched_at)


@pytest.mark.parametrize(("came", "is_held"), [(0, True), (1, True), (2, False), (10, False), (14, False)])
def test_a_small_part_is_doubted_and_the_rest_is_restated(store: FolderStore, came: int, is_held: bool) -> None:
    had(store, TRAFFIC)
    assert bool(ingest(store, TRAFFIC, Source(traffic(came), came)).held_back) is is_held
    assert rows(store, TRAFFIC) == (10 if is_held else came)


@pytest.mark.parametrize("doubt", [Doubt(small_part=0), Doubt(is_waived=True)], ids=["setting", "tag"])
def test_a_setting_or_a_person_s_word_has_every_answer_believed(store: FolderStore, doubt: Doubt) -> None:
    had(store, TRAFFIC)
    assert ingest(store, TRAFFIC, Source(EMPTY[TRAFFIC]), doubt=doubt).held_back is None
    assert rows(store, TRAFFIC) == 0


def test_an_answer_that_cannot_be_read_is_refused_and_not_taken_for_an_empty_one(store: FolderStore) -> None:
    had(store, TRAFFIC)
    with pytest.raises(BadData, match="1 of 1 pages cannot be read"):
        ingest(store, TRAFFIC, Source(b"<html>502</html>"))
    assert rows(store, TRAFFIC) == 10


@pytest.mark.parametrize("contract", ALL, ids=NAMES)
def test_a_window_that_never_had_rows_may_be_empty(store: FolderStore, contract: Contract) -> None:
    for _ in range(2):
        assert ingest(store, contract, Source(EMPTY[contract])).held_back is None
    assert rows(store, contract) == 0


def test_the_source_s_own_count_is_a_witness_and_one_that_disagrees_is_never_overruled(store: FolderStore) -> None:
    had(store, ORDERS)
    for days in (1, 2, 3):
        at = FETCHED_AT + timedelta(days=days)
        assert ingest(store, ORDERS, Source(EMPTY[ORDERS], expected=10), at).held_back
    assert rows(store, ORDERS) == 10
    source = Source(EMPTY[ORDERS], expected=0)
    assert ingest(store, ORDERS, source, FETCHED_AT + timedelta(days=4)).held_back is None
    assert (rows(store, ORDERS), source.asked) == (0, 1)


def test_the_count_of_a_date_is_part_of_its_answer_and_no_witness(store: FolderStore) -> None:
    had(store, TRAFFIC)
    assert ingest(store, TRAFFIC, Source(EMPTY[TRAFFIC], expected=0)).held_back


def test_rows_that_moved_on_are_asked_for_once_more_at_once(store: FolderStore) -> None:
    """Nothing is deleted for want of them: the raw table keeps what another window may not have yet."""
    had(store, CONVERSATIONS)
    source = Source(EMPTY[CONVERSATIONS])
    assert ingest(store, CONVERSATIONS, source).held_back is None
    assert (rows(store, CONVERSATIONS), source.asked) == (0, 2)


def test_a_listing_is_held_against_the_one_of_the_day_before_and_marks_nothing_deleted(store: FolderStore) -> None:
    had(store, INBOXES)
    held = ingest(store, INBOXES, Source(EMPTY[INBOXES]), key=NEXT_KEY)
    assert (held.manifest, held.held_back) == (None, "0 rows came where 10 were")
    assert partitions(store, INBOXES, PROJECT) == [KEY]
    next_night = ingest(store, INBOXES, Source(EMPTY[INBOXES]), FETCHED_AT + timedelta(days=2), "2025-03-03")
    assert next_night.held_back is None
    assert rows(store, INBOXES, "2025-03-03") == 0


def test_a_note_does_not_undo_what_another_run_has_read_meanwhile(store: FolderStore) -> None:
    had(store, TRAFFIC)

    def meanwhile(*_: object) -> Fetched:
        write(store, TRAFFIC, synthetic(TRAFFIC, 12), fetched_at=datetime(2025, 3, 4, tzinfo=UTC))
        return Fetched([EMPTY[TRAFFIC]], 1, None, "v", None)

    ingest_window(TRAFFIC, None, meanwhile, store, PROJECT, window(), datetime(2025, 3, 5, tzinfo=UTC))
    assert rows(store, TRAFFIC) == 12
