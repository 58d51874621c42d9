"""One evening, and as many nights after it as one likes: each begins from the same databases and the same lake.

Belongs here: going back to the evening, a night with faults, what it left behind. Does not belong here: faults,
assertions.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.local.first_load import LoadOutcome
from hotdash_pipelines.local.warehouse import alert_failure
from hotdash_pipelines.orchestration.blast_radius import LEFT_OUT_BECAUSE
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.transform.manifest import prepare_manifest
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.pipeline.harness.in_process import Bench

FIRST = "2026-03-05"
EVENING, NIGHT = (datetime(2026, 3, day, 12, tzinfo=UTC) for day in (7, 8))
LAYERS = ("raw_%", "marts_%", "metrics")
# Marts that are built from what is there, whichever of the sources that they unite did not land.
UNITING = frozenset({"marts_core.dim_channel", "marts_core.dim_date"})

Look = Callable[[Bench], None]
# What a mart says of its day. All else in it is of the rows.
OF_THE_DAY = ("is_complete", "as_of", "incomplete_reason", "_loaded_at")
STREAMS = {
    f"{one.source}/{one.stream}": {f"raw_{one.source}.{table.name}" for table in one.tables} for one in load_contracts()
}


def _nothing(_bench: Bench) -> None:
    pass


@dataclass
class Morning:
    """What a night left behind: its outcome, a checksum of each table, the alerts of failed runs and their texts."""

    outcome: LoadOutcome
    tables: dict[str, str]
    why_left_out: dict[str, str]
    alerts: list[tuple[str, str]]

    @property
    def left_out(self) -> set[str]:
        """The models that keep their last state, as `schema.table`."""
        return {name.replace("/", ".") for name in self.outcome.left_out}


@dataclass
class Evening:
    """A stack after one healthy night; `before` are its tables then, `healthy` after the next one, undisturbed."""

    bench: Bench
    lake: Path
    before: dict[str, str] = field(default_factory=dict)
    healthy: dict[str, str] = field(default_factory=dict)
    healthy_figures: dict[str, str] = field(default_factory=dict)
    """Of the daily marts, without what they say of their days."""

    def night(self, plant: Look = _nothing, look: Look = _nothing) -> Morning:
        """Go back to the evening, have `plant` put faults into the store, and run the night until they are ended.

        `look` is called before they are.
        """
        self._go_back()
        plant(self.bench)
        return self.once_more(look)

    def once_more(self, look: Look = _nothing) -> Morning:
        """The night over what is there."""
        bench = self.bench
        outcome = run_night(bench, NIGHT)
        look(bench)
        bench.heal()
        if not outcome.success:
            alert_failure(get_settings(), bench.stack.warehouse_url, outcome)
        told = "select kind, payload::text from ops.alert_outbox where kind in ('run_failed', 'checks_failed')"
        return Morning(outcome, self._tables(), why_left_out(bench, outcome.run_id), bench.stack.query(told))

    def keep(self) -> None:
        """Have the stack as it is now be the evening."""
        with _admin(self.bench) as conn:
            conn.execute(f'create database "{self._kept}" template "{self._database}"')
        shutil.copytree(self.bench.stack.home / "lake", self.lake)
        self.before = self._tables()

    def end(self) -> None:
        """Drop what was kept."""
        with _admin(self.bench) as conn:
            conn.execute(f'drop database if exists "{self._kept}" with (force)')

    def _go_back(self) -> None:
        with _admin(self.bench) as conn:
            conn.execute(f'drop database if exists "{self._database}" with (force)')
            conn.execute(f'create database "{self._database}" template "{self._kept}"')
        shutil.rmtree(self.bench.stack.home / "lake")
        shutil.copytree(self.lake, self.bench.stack.home / "lake")

    def figures(self) -> dict[str, str]:
        """A checksum of each daily mart without what it says of its days."""
        return self.bench.stack.checksums("metrics", without=OF_THE_DAY)

    def _tables(self) -> dict[str, str]:
        return self.bench.stack.checksums(*LAYERS)

    @property
    def _database(self) -> str:
        return self.bench.stack.warehouse_url.rsplit("/", 1)[1]

    @property
    def _kept(self) -> str:
        return f"{self._database}_evening"


@contextmanager
def _admin(bench: Bench) -> Iterator[Any]:
    with connect(with_database(bench.stack.warehouse_url, "postgres"), autocommit=True) as conn:
        yield conn


def run_night(bench: Bench, at: datetime) -> LoadOutcome:
    """The nightly run as of that instant."""
    bench.store.clock.set(at)
    bench.set(fixed_now=at.isoformat())
    return bench.execute(None, FIRST, at.date().isoformat(), "due")


def why_left_out(bench: Bench, run_id: str) -> dict[str, str]:
    """For each model that a run left out, as `schema.table`, the reasons that it told."""
    records = bench.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    reasons = {}
    for event in (record.event_log_entry.dagster_event for record in records):
        assert event is not None
        facts = event.asset_observation_data.asset_observation.metadata
        if LEFT_OUT_BECAUSE in facts:
            assert event.asset_key is not None
            reasons[".".join(event.asset_key.path)] = str(facts[LEFT_OUT_BECAUSE].value)
    return reasons


def readers(streams: Collection[str]) -> set[str]:
    """The models that have to wait for these streams, as `schema.table`: found from the sources down, by dbt's own map.

    Models that unite sources are built from what is there, and so are the views that they are made from.
    """
    manifest = json.loads(prepare_manifest().read_bytes())
    nodes = {**manifest["nodes"], **manifest["sources"]}
    names = {unique: f"{node['schema']}.{node.get('alias') or node['name']}" for unique, node in nodes.items()}
    raw = set().union(*(STREAMS[stream] for stream in streams))
    reached = {unique for unique in manifest["sources"] if names[unique] in raw}
    layer = reached
    while layer:
        through = {unique for unique in layer if names[unique] not in UNITING}
        layer = {
            unique
            for unique, parents in manifest["parent_map"].items()
            if unique.startswith("model.") and through & set(parents)
        } - reached
        reached = reached | layer
    models = {unique for unique in reached if unique.startswith("model.")}
    built = {unique for unique in models if names[unique] in UNITING}
    layer = built
    while layer:
        above = {parent for unique in layer for parent in manifest["parent_map"][unique]} & models
        layer = {unique for unique in above if nodes[unique]["config"]["materialized"] == "view"} - built
        built = built | layer
    return {names[unique] for unique in models - built}
