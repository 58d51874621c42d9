"""Nights of a store inside a test process: every stream by the pipeline's own steps, then dbt; and what they leave.

Belongs here: running a night as the nightly job does, without Dagster's own cost; reading the daily marts. Does not
belong here: what the figures must be (tests/truth.py, the tests).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.base.windows import Window, current_day, days_ending, last_complete_day, window_of
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.demo.credentials import write_endpoint_file
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.ingest.completeness import count_days, has_count_by_day
from hotdash_pipelines.ingest.run import can_be_read, ingest_window, is_due, load_windows
from hotdash_pipelines.lake.partition import read_manifest
from hotdash_pipelines.services.connections import open_client
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources import QuotaExhausted, TransientSourceError, fetcher
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.ga4.client import Ga4Client
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.projects import Project, upsert_project
from hotdash_pipelines.warehouse.stream_days import refresh_days
from tests.truth import SalesDay, SupportDay, WebDay

# A step of the nightly job is tried again so often when its source fails for a moment.
TRIES = 5


@dataclass
class Mornings:
    """A store's warehouse, night by night. `build` runs dbt; `naps` are the seconds that clients meant to sleep."""

    home: Path
    url: str
    store: RunningStandIn
    build: Callable[[], Any]
    naps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_endpoint_file(self.home / "demo" / "endpoint.json", self.store.endpoint())
        self.settings = Settings(home=self.home)
        self.lake = FolderStore(self.home / "lake")
        self.contracts = load_contracts()

    def night(self, at: datetime, days: int | None = None, *, with_today: bool = True) -> None:
        """What the nightly run does at `at`; `days` complete ones as a first load does, else those of the schedule.

        `with_today` off leaves the open day out, which the schedule never does.
        """
        self.store.clock.set(at)
        zone = self.settings.zone
        back = days or max(contract.refetch_days for contract in self.contracts)
        windows = [window_of(key, zone) for key in days_ending(current_day(at, zone), back + 1)]
        windows = windows if with_today else windows[:-1]
        newest = window_of(last_complete_day(at, zone).isoformat(), zone)
        with connect(self.url, autocommit=True) as conn:
            upsert_project(conn, self._project(), at)
        for contract in self.contracts:
            self._again_and_again(lambda contract=contract: self._stream(contract, windows, newest, at))
        self.build()

    def _project(self) -> Project:
        return Project(self.settings.project, None, "USD", self.settings.store_timezone, 1, "424242", True)

    def _again_and_again(self, step: Callable[[], None]) -> None:
        for _ in range(TRIES - 1):
            try:
                return step()
            except QuotaExhausted:
                # The next hour has a quota of its own, which a clock that stands still never reaches.
                self.store.world.extra["ga4"].quota._spent.clear()
            except TransientSourceError:
                continue
        return step()

    def _stream(self, contract: Contract, windows: list[Window], newest: Window, at: datetime) -> None:
        fetch, project = fetcher(contract.source, contract.stream), self.settings.project
        client = open_client(self.settings, contract.source)
        try:
            for window in windows:
                held = read_manifest(self.lake, contract, project, window.key)
                # What an earlier try of this night has read stands.
                if held is not None and held.fetched_at == at:
                    continue
                if can_be_read(contract, window, newest) and is_due(contract, window, newest, held):
                    ingest_window(contract, client, fetch, self.lake, project, window, at, self.url)
            manifests = [read_manifest(self.lake, contract, project, window.key) for window in windows]
            held = [manifest for manifest in manifests if manifest is not None]
            count_days(contract, client, self.url, project, self.settings.zone, held, lambda: at)
        finally:
            client.close()
        for _ in load_windows(contract, self.lake, self.url, project, windows, at):
            pass
        refresh_days(
            self.url,
            contract,
            project,
            self.settings.store_timezone,
            [window.key for window in windows],
            at,
            is_counted=has_count_by_day(contract),
        )

    def ledger(self, source: str, stream: str) -> dict[date, tuple[str, int]]:
        """State and loaded records of each day of a stream, as the ledger of completeness has them."""
        rows = self._rows(
            "select business_date, state, loaded_count from ops.stream_days "
            f"where source = '{source}' and stream = '{stream}'"
        )
        return {day: (str(state), int(loaded)) for day, state, loaded in rows}

    def sales(self) -> dict[date, SalesDay]:
        """What the daily rollup says, money in cents."""
        names = (*SalesDay.counts(), *SalesDay.amounts())
        sums = ", ".join(f"sum({name})" for name in names)
        return {
            day: SalesDay(**{name: _whole(name, value) for name, value in zip(names, values, strict=True)})
            for day, *values in self._rows(f"select business_date, {sums} from metrics.agg_sales_daily group by 1")
        }

    def new_customers(self) -> dict[date, int]:
        """How many customers the daily rollup says to have bought for the first time."""
        rows = self._rows("select business_date, sum(new_customer_count) from metrics.agg_sales_daily group by 1")
        return {day: int(count) for day, count in rows}

    def whole_days(self) -> dict[date, bool]:
        """What the daily rollup says of its days: whether all of a day is there."""
        return dict(self._rows("select business_date, bool_and(is_complete) from metrics.agg_sales_daily group by 1"))

    def support(self) -> dict[date, SupportDay]:
        """What the conversations' fact says of the days on which they began."""
        rows = self._rows(
            "select business_date, count(*), count(*) filter (where is_resolved), sum(incoming_message_count), "
            "sum(outgoing_message_count) from marts_support.fct_conversation where not is_deleted group by 1"
        )
        return {day: SupportDay(*map(int, values)) for day, *values in rows}

    def visits(self) -> dict[date, WebDay]:
        """What the site's daily fact says."""
        rows = self._rows(
            "select property_date, sum(session_count), sum(purchase_count), sum(revenue_amount) "
            "from marts_core.fct_web_sessions_daily group by 1"
        )
        return {day: WebDay(int(seen), int(bought), _whole("revenue_amount", paid)) for day, seen, bought, paid in rows}

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with connect(self.url) as conn:
            return conn.execute(statement.encode()).fetchall()


def _whole(name: str, value: Decimal | int) -> int:
    """A figure as the truth has it, money in cents; AssertionError for a part of a cent."""
    figure = value * 100 if name.endswith("_amount") else value
    assert figure == int(figure), f"{name}: {value}"
    return int(figure)


@contextmanager
def open_mornings(home: Path, url: str, store: RunningStandIn, build: Callable[[], Any]) -> Iterator[Mornings]:
    """Mornings whose clients wait in their thoughts only: what they meant to sleep passes for them at once."""
    mornings = Mornings(home, url, store, build)
    with pytest.MonkeyPatch.context() as patch:
        for client in (ShopifyClient, ChatwootClient, Ga4Client):
            patch.setitem(client.__init__.__kwdefaults__, "sleep", mornings.naps.append)
        yield mornings


__all__ = ["Mornings", "open_mornings"]
