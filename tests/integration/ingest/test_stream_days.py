"""The ledger of completeness: when a day is whole, when it is not, and that it says why."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.lake.partition import open_table
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.loading.load import load_partition
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.stream_days import (
    DayCount,
    StreamDay,
    days_to_count,
    note_agent_days,
    note_counts,
    refresh_days,
)
from tests.synthetic import PROJECT, contract_of, synthetic, write

ORDERS = contract_of("shopify", "orders")
LANDING = contract_of("ga4", "landing_daily")
PRODUCTS = contract_of("shopify", "products")
ZONE = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def night(day: int) -> datetime:
    """04:05 in New York on a day of March 2025, daylight saving time not yet begun."""
    return datetime(2025, 3, day, 9, 5, tzinfo=UTC)


class Ledger:
    """A lake, the database that it is loaded into, and the ledger over it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store, self.url = FolderStore(folder), url

    def load(
        self, key: str, fetched_at: datetime, orders: Mapping[int, tuple[str, str]], contract: Contract = ORDERS
    ) -> None:
        """One window of orders: id -> (processed at, updated at), in UTC."""
        tables = synthetic(contract, len(orders), key=key)
        if orders:
            table = tables["orders"]
            values = {
                "order_id": pa.array(list(orders), pa.int64()),
                "processed_at": _instants(processed for processed, _ in orders.values()),
                "updated_at": _instants(updated for _, updated in orders.values()),
            }
            for name, column in values.items():
                table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
            tables["orders"] = table
        self.put(contract, key, fetched_at, tables)

    def put(self, contract: Contract, key: str, fetched_at: datetime, tables: Mapping[str, pa.Table]) -> None:
        manifest = write(self.store, contract, tables, key=key, fetched_at=fetched_at)
        load_partition(
            self.url,
            contract,
            PROJECT,
            manifest,
            lambda table: open_table(self.store, contract, manifest, table),
            fetched_at + timedelta(seconds=1),
        )

    def refresh(self, now: datetime, *keys: str, contract: Contract = ORDERS) -> list[StreamDay]:
        return refresh_days(self.url, contract, PROJECT, ZONE, keys, now, is_counted=True)

    def count(self, counted_at: datetime, counts: Mapping[str, int | None], contract: Contract = ORDERS) -> None:
        note_counts(self.url, contract, PROJECT, [DayCount(key, count, counted_at) for key, count in counts.items()])

    def days(self) -> dict[date, tuple[str, datetime | None, str | None]]:
        return {day: (state, as_of, reason) for day, state, as_of, reason in self._rows("state, as_of, reason")}

    def state(self, key: str) -> str:
        return self.days()[date.fromisoformat(key)][0]

    def counts(self) -> dict[str, tuple[int | None, int, int]]:
        return {str(day): tuple(rest) for day, *rest in self._rows("source_count, loaded_count, deleted_count")}

    def _rows(self, columns: str) -> list[tuple[Any, ...]]:
        with connect(self.url) as conn:
            return conn.execute(
                f"select business_date, {columns} from ops.stream_days order by source, stream, business_date"
            ).fetchall()


def _instants(texts: Any) -> pa.Array:
    return pa.array([at(text) for text in texts], pa.timestamp("us", tz="UTC"))


@pytest.fixture
def ledger(tmp_path: Path, warehouse_url: str) -> Ledger:
    return Ledger(tmp_path, warehouse_url)


# Order 1 is of the 3rd and stays so; order 2 is of the 3rd too, but was shipped on the 4th, after midnight.
FIRST_DAY = {1: ("2025-03-03T15:00", "2025-03-03T15:00")}
AFTER_MIDNIGHT = {2: ("2025-03-03T16:00", "2025-03-04T08:00")}


def test_a_day_is_whole_once_the_window_after_it_is_read_up_to_now(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    assert ledger.days() == {
        date(2025, 3, 3): ("complete", night(4), None),
        date(2025, 3, 4): ("open", night(4), "the day is not over"),
    }
    assert ledger.counts() == {"2025-03-03": (None, 2, 0), "2025-03-04": (None, 0, 0)}


def test_yesterday_is_not_whole_while_what_was_touched_after_midnight_is_not_read(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.refresh(night(4), "2025-03-03")
    state, as_of, reason = ledger.days()[date(2025, 3, 3)]
    assert (state, as_of) == ("partial", None)
    assert reason == "what changed is loaded up to 2025-03-04 05:00 UTC only"


def test_a_day_before_the_first_window_is_partial_however_many_of_its_orders_came(ledger):
    ledger.load("2025-03-03", night(4), {**FIRST_DAY, 3: ("2025-02-20T12:00", "2025-03-03T18:00")})
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    assert ledger.days()[date(2025, 2, 20)] == ("partial", None, "only what changed since 2025-03-03 is loaded")
    assert ledger.state("2025-03-03") == "complete"


def test_a_day_that_was_counted_and_never_loaded_is_partial_and_differs_from_nothing(ledger):
    """Its window was read, and the load of it failed."""
    ledger.count(night(5), {"2025-03-03": 5})
    for key in ("2025-03-04", "2025-03-05"):
        ledger.load(key, night(5), {})
    assert ledger.refresh(night(5), "2025-03-04", "2025-03-05") == []
    assert ledger.days()[date(2025, 3, 3)] == ("partial", None, "only what changed since 2025-03-04 is loaded")


def test_a_gap_between_windows_ends_what_is_known_of_the_days_before_it(ledger):
    for day in (3, 4, 6, 7):
        ledger.load(f"2025-03-0{day}", night(7), {day: (f"2025-03-0{day}T15:00", f"2025-03-0{day}T15:00")})
    ledger.load("2025-03-06", night(7), {9: ("2025-03-05T15:00", "2025-03-06T15:00")})
    ledger.refresh(night(7), "2025-03-03", "2025-03-04", "2025-03-06", "2025-03-07")
    states = {str(day): state for day, (state, _, _) in ledger.days().items()}
    assert states == {
        "2025-03-03": "partial",
        "2025-03-04": "partial",
        "2025-03-05": "partial",
        "2025-03-06": "complete",
        "2025-03-07": "open",
    }
    assert ledger.days()[date(2025, 3, 5)][2] == "its window is not loaded"


def test_a_day_that_was_whole_stays_so_when_an_old_window_is_read_by_hand(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    ledger.load("2025-03-03", night(4) + timedelta(hours=3), FIRST_DAY)
    ledger.refresh(night(4) + timedelta(hours=3), "2025-03-03")
    assert ledger.days()[date(2025, 3, 3)] == ("complete", night(4), None)


def test_a_day_moves_on_from_open_to_complete(ledger):
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.refresh(night(4), "2025-03-04")
    assert ledger.state("2025-03-04") == "open"
    ledger.load("2025-03-04", night(5), AFTER_MIDNIGHT)
    ledger.load("2025-03-05", night(5), {})
    ledger.refresh(night(5), "2025-03-04", "2025-03-05")
    assert ledger.days()[date(2025, 3, 4)] == ("complete", night(5), None)


def test_a_day_on_which_the_source_counts_otherwise_is_named(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.count(night(4), {"2025-03-03": 3})
    days = ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    assert days == [StreamDay(date(2025, 3, 3), 3, 2, differs=True)]
    assert ledger.days()[date(2025, 3, 3)] == ("differs", night(4), "the source counts 3, 2 are loaded")


def test_a_day_of_the_past_waits_for_the_windows_that_its_records_may_have_moved_to(ledger):
    """A backfill of long ago, run by run: the source's count knows what the runs after this one will bring."""
    ledger.load("2025-03-03", night(9), FIRST_DAY)
    ledger.count(night(9), {"2025-03-03": 3})
    days = ledger.refresh(night(9), "2025-03-03")
    assert days == [StreamDay(date(2025, 3, 3), 3, 1, differs=False, waits=True)]
    told = "what changed is loaded up to 2025-03-04 05:00 UTC only"
    assert ledger.days()[date(2025, 3, 3)] == ("partial", None, told)
    # As soon as all windows are there, what is still missing is missing.
    keys = [f"2025-03-0{day}" for day in range(4, 10)]
    for key in keys:
        ledger.load(key, night(9), AFTER_MIDNIGHT if key == keys[0] else {})
    assert ledger.refresh(night(9), *keys) == [StreamDay(date(2025, 3, 3), 3, 2, differs=True)]


def test_a_day_that_was_whole_and_lacks_records_since_is_not_whole_behind_a_gap(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    assert ledger.state("2025-03-03") == "complete"
    # Days later, and nothing was read since.
    ledger.count(night(9), {"2025-03-03": 3})
    assert ledger.refresh(night(9), "2025-03-03") == [StreamDay(date(2025, 3, 3), 3, 2, differs=False, waits=True)]
    assert ledger.state("2025-03-03") == "partial"


def test_a_day_of_the_past_with_more_records_than_its_source_counts_differs_at_once(ledger):
    ledger.load("2025-03-03", night(9), {**FIRST_DAY, **AFTER_MIDNIGHT})
    ledger.count(night(9), {"2025-03-03": 1})
    (day,) = ledger.refresh(night(9), "2025-03-03")
    assert (day.differs, day.waits) == (True, False)


def test_a_count_from_before_the_last_reading_has_no_day_wait(ledger):
    """It is counted again first: what it counted may be gone by now."""
    ledger.count(night(4), {"2025-03-03": 3})
    ledger.load("2025-03-03", night(9), FIRST_DAY)
    assert ledger.refresh(night(9), "2025-03-03") == [StreamDay(date(2025, 3, 3), 3, 1, differs=False)]
    assert ledger.state("2025-03-03") == "partial"


def test_a_day_that_lacks_no_more_than_is_allowed_does_not_wait(ledger):
    tolerant = ORDERS.model_copy(update={"count_tolerance": 0.5})
    ledger.load("2025-03-03", at("2025-03-03T20:00"), {**FIRST_DAY, **AFTER_MIDNIGHT})
    ledger.count(night(9), {"2025-03-03": 3})
    assert ledger.refresh(night(9), "2025-03-03", contract=tolerant) == [StreamDay(date(2025, 3, 3), 3, 2, False)]
    assert ledger.state("2025-03-03") == "partial"


def test_a_date_of_ga4_that_did_not_land_waits_for_no_other_window(ledger):
    ledger.put(LANDING, "2025-03-02", night(9), synthetic(LANDING, 3, key="2025-03-02"))
    ledger.count(night(9), {"2025-03-03": 200}, LANDING)
    days = ledger.refresh(night(9), "2025-03-02", "2025-03-03", contract=LANDING)
    assert days == [StreamDay(date(2025, 3, 3), 200, 0, differs=False)]


def test_an_equal_count_makes_a_day_whole_as_of_the_last_reading(ledger):
    """Nothing was touched after midnight, and the source says so by its count."""
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.count(night(4), {"2025-03-03": 1})
    assert ledger.refresh(night(4), "2025-03-03") == [StreamDay(date(2025, 3, 3), 1, 1, differs=False)]
    assert ledger.days()[date(2025, 3, 3)] == ("complete", at("2025-03-04T05:00"), None)


def test_an_order_entered_late_is_no_error_of_a_day_counted_before_it(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.count(night(4), {"2025-03-03": 1})
    ledger.load("2025-03-04", night(4), {})
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    ledger.load("2025-03-04", night(8), {7: ("2025-03-03T20:00", "2025-03-04T12:00")})
    for day in (5, 6, 7, 8):
        ledger.load(f"2025-03-0{day}", night(8), {})
    keys = [f"2025-03-0{day}" for day in (4, 5, 6, 7, 8)]
    ledger.refresh(night(8), *keys)
    assert ledger.state("2025-03-03") == "complete"
    due = days_to_count(ledger.url, ORDERS, PROJECT, {}, 25)
    assert due == ["2025-03-03"]
    ledger.count(night(9), {"2025-03-03": 2})
    ledger.refresh(night(9), *keys)
    assert ledger.state("2025-03-03") == "complete"
    assert days_to_count(ledger.url, ORDERS, PROJECT, {}, 25) == []


def test_orders_that_the_source_deleted_are_not_counted_as_loaded(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.count(night(4), {"2025-03-03": 1})
    with connect(ledger.url) as conn:
        conn.execute(
            "update raw_shopify.orders set _deleted_at = %(at)s, _loaded_at = %(at)s where order_id = 2",
            {"at": night(4)},
        )
    assert ledger.refresh(night(4), "2025-03-03", "2025-03-04") == [StreamDay(date(2025, 3, 3), 1, 1, differs=False)]
    assert ledger.counts()["2025-03-03"] == (1, 1, 1)
    assert ledger.state("2025-03-03") == "complete"


def test_a_day_of_which_the_source_tells_no_count_is_unknown(ledger):
    ledger.load("2025-03-03", night(4), {})
    ledger.load("2025-03-04", night(4), {})
    ledger.count(night(4), {"2025-03-03": None})
    for _ in range(2):
        ledger.refresh(night(4), "2025-03-03", "2025-03-04")
        assert ledger.state("2025-03-03") == "unknown"


def test_a_day_that_leaves_the_horizon_keeps_the_count_it_had(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), {})
    ledger.count(night(4), {"2025-03-03": 1})
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    ledger.count(night(4) + timedelta(days=70), {"2025-03-03": None})
    ledger.refresh(night(4) + timedelta(days=70), "2025-03-03")
    assert ledger.counts()["2025-03-03"] == (1, 1, 0)
    assert ledger.state("2025-03-03") == "complete"


def test_a_day_is_counted_once_after_each_reading_of_its_window(ledger):
    fetched_at = {"2025-03-03": night(4), "2025-03-04": night(4)}
    assert days_to_count(ledger.url, ORDERS, PROJECT, fetched_at, 25) == ["2025-03-03", "2025-03-04"]
    ledger.count(night(4), {"2025-03-03": 1, "2025-03-04": 0})
    assert days_to_count(ledger.url, ORDERS, PROJECT, {"2025-03-04": night(4)}, 0) == []
    assert days_to_count(ledger.url, ORDERS, PROJECT, {"2025-03-04": night(5)}, 0) == ["2025-03-04"]


def test_a_second_refresh_changes_no_row(ledger):
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.count(night(4), {"2025-03-03": 2, "2025-03-04": 0})
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    written = ledger._rows("xmin::text")
    ledger.count(night(4), {"2025-03-03": 2, "2025-03-04": 0})
    ledger.refresh(night(4), "2025-03-03", "2025-03-04")
    assert ledger._rows("xmin::text") == written


def test_a_refresh_makes_up_for_one_that_was_killed_before_it(ledger):
    """The load of the night committed, its refresh did not; the next one has other windows, but one in common."""
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(4), AFTER_MIDNIGHT)
    ledger.load("2025-03-04", night(5), AFTER_MIDNIGHT)
    ledger.load("2025-03-05", night(5), {})
    ledger.refresh(night(5), "2025-03-04", "2025-03-05")
    assert ledger.counts()["2025-03-03"][1] == 2
    assert ledger.state("2025-03-03") == "complete"


def test_a_refresh_makes_up_for_a_killed_one_after_others_that_were_not(ledger):
    ledger.load("2025-03-02", night(3), {})
    ledger.refresh(night(3), "2025-03-02")
    ledger.load("2025-03-03", night(4), FIRST_DAY)
    ledger.load("2025-03-04", night(5), {})
    ledger.refresh(night(5), "2025-03-04")
    assert ledger.counts()["2025-03-03"] == (None, 1, 0)


def test_a_date_of_ga4_is_provisional_until_it_was_read_after_its_last_restatement(ledger):
    tables = synthetic(LANDING, 3, key="2025-03-03")
    views = sum(tables["landing_daily"]["page_views"].to_pylist())
    ledger.put(LANDING, "2025-03-03", night(4), tables)
    ledger.count(night(4), {"2025-03-03": views}, LANDING)
    ledger.refresh(night(4), "2025-03-03", contract=LANDING)
    state, as_of, reason = ledger.days()[date(2025, 3, 3)]
    assert (state, as_of) == ("provisional", night(4))
    assert reason == "the source may restate it until 2025-03-06 05:00 UTC"
    ledger.put(LANDING, "2025-03-03", night(6), tables)
    ledger.count(night(6), {"2025-03-03": views}, LANDING)
    ledger.refresh(night(6), "2025-03-03", contract=LANDING)
    assert ledger.days()[date(2025, 3, 3)] == ("complete", night(6), None)


@pytest.mark.parametrize(("lacking", "differs"), [(0, False), (2, False), (3, True), (50, True)])
def test_views_of_a_report_that_did_not_land_are_missed_beyond_one_in_a_hundred(ledger, lacking, differs):
    tables = synthetic(LANDING, 3, key="2025-03-03")
    landing = tables["landing_daily"]
    views = pa.array([50, 50, 100 - lacking], landing.schema.field("page_views").type)
    place = landing.schema.get_field_index("page_views")
    tables["landing_daily"] = landing.set_column(place, landing.schema.field("page_views"), views)
    ledger.put(LANDING, "2025-03-03", night(6), tables)
    ledger.count(night(6), {"2025-03-03": 200}, LANDING)
    assert [day.differs for day in ledger.refresh(night(6), "2025-03-03", contract=LANDING)] == [differs]
    assert ledger.counts()["2025-03-03"] == (200, 200 - lacking, 0)
    again = ["2025-03-03"] if differs else []
    assert days_to_count(ledger.url, LANDING, PROJECT, {}, 25) == again


def test_only_the_newest_listing_says_what_is_there(ledger):
    ledger.put(PRODUCTS, "2025-03-03", night(4), synthetic(PRODUCTS, 5, key="2025-03-03"))
    refresh_days(ledger.url, PRODUCTS, PROJECT, ZONE, ["2025-03-03"], night(4), is_counted=False)
    ledger.put(PRODUCTS, "2025-03-04", night(5), synthetic(PRODUCTS, 4, key="2025-03-04"))
    refresh_days(ledger.url, PRODUCTS, PROJECT, ZONE, ["2025-03-04"], night(5), is_counted=False)
    assert ledger.counts() == {"2025-03-03": (None, 5, 0), "2025-03-04": (None, 4, 1)}
    assert ledger.state("2025-03-04") == "complete"


def test_days_of_the_support_agent_are_whole_once_they_are_over(ledger):
    """23:30 and 00:30 in New York are two days, whatever UTC says; the second is not over at 04:05."""
    for _ in range(2):
        with connect(ledger.url) as conn:
            conn.execute("delete from agent.agent_queries")
            for created in ("2025-03-04T04:30", "2025-03-04T05:30"):
                conn.execute(
                    "insert into agent.agent_queries (query, result, conversation_id, agent, created_at) "
                    "values ('q', '{}', 'c', 'a', %s)",
                    [at(created)],
                )
            note_agent_days(conn, PROJECT, ZONE, night(4))
    assert ledger.days() == {
        date(2025, 3, 3): ("complete", at("2025-03-04T05:00"), None),
        date(2025, 3, 4): ("open", night(4), "the day is not over"),
    }
    with connect(ledger.url) as conn:
        note_agent_days(conn, PROJECT, ZONE, night(5))
    assert ledger.state("2025-03-04") == "complete"
