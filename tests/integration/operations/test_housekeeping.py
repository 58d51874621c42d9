"""Housekeeping removes what is older than its limit and nothing else, however often and wherever it is killed."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.cli import app
from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.lake import partition, quarantine
from hotdash_pipelines.operations import housekeeping
from hotdash_pipelines.operations.erasure import run as erase
from hotdash_pipelines.settings import Settings, get_settings
from hotdash_pipelines.sla import Observation
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.sla.kept import Kept
from tests.synthetic import PROJECT, read_table, synthetic, write
from tests.unit.sla.story import sla

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
ORDERS = next(found for found in load_contracts() if (found.source, found.stream) == ("shopify", "orders"))
LIMITS = Settings(
    raw_pages_days=30,
    quarantine_days=90,
    retain_runs_days=90,
    rollback_dumps_days=90,
    delivered_alerts_days=90,
    check_results_days=400,
    observations_days=90,
)
OLDER, EQUAL = timedelta(microseconds=1), timedelta(0)


@dataclass
class Place:
    """Everything that a sweep looks at, below one folder."""

    root: Path
    url: str

    @property
    def lake(self) -> FolderStore:
        return FolderStore(self.root / "lake")

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    def sweep(self, **options: Any) -> housekeeping.Swept:
        with connect(self.url, autocommit=True) as conn:
            return housekeeping.sweep(
                conn,
                NOW,
                LIMITS,
                lake=self.lake,
                contracts=load_contracts(),
                project=PROJECT,
                backups=FolderStore(self.backups),
                rollback_dumps=self.backups,
                **options,
            )

    def state(self) -> dict[str, Any]:
        """Every file and every row that is left."""
        files = sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() and path.name != ".lock"
        )
        with connect(self.url, autocommit=True) as conn:
            alerts = conn.execute("select dedupe_key from ops.alert_outbox order by 1").fetchall()
            results = conn.execute("select check_name from ops.check_results order by 1").fetchall()
            seen = conn.execute("select metric_name from ops.data_observations order by 1").fetchall()
        return {
            "files": files,
            "alerts": [key for (key,) in alerts],
            "results": [name for (name,) in results],
            "observations": [name for (name,) in seen],
        }


def write_pages(store: FolderStore, key: str, fetched_at: datetime) -> None:
    write(store, ORDERS, synthetic(ORDERS, 1, key=key), key=key, fetched_at=fetched_at, expected_rows=None)


def at(days: int, more: timedelta = OLDER) -> datetime:
    return NOW - timedelta(days=days) - more


@pytest.fixture
def place(tmp_path: Path, warehouse_url: str) -> Place:
    """Of each kind one thing just older than its limit, one exactly as old, and what is never removed."""
    made = Place(tmp_path / "home", warehouse_url)
    write_pages(made.lake, "2026-10-01", at(30))
    write_pages(made.lake, "2026-10-02", at(30, EQUAL))
    for key, when in (("2026-07-01", at(90)), ("2026-07-02", at(90, EQUAL))):
        quarantine.keep_pages(made.lake, ORDERS, PROJECT, window_of(key, LIMITS.zone), [(key.encode(), "why")], when)
    second = timedelta(seconds=1)
    for name in (
        f"rollback-{at(90, second):%Y%m%dT%H%M%SZ}-0003",
        f"rollback-{at(90, second):%Y%m%dT%H%M%SZ}-base-2",
        f"rollback-{at(90, EQUAL):%Y%m%dT%H%M%SZ}-0003",
        f"{at(500):%Y%m%dT%H%M%SZ}-0a1b2c3d",
        f"rollback-{at(500):%Y%m%dT%H%M%SZ}-0003.mine",
        "rollback-20259999T000000Z-0003",
        "rollback-notes",
    ):
        (made.backups / name / "more").mkdir(parents=True)
        (made.backups / name / "manifest.json").write_text("{}")
        (made.backups / name / "more" / "data.dump").write_text("rows")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "manifest.json").write_text("{}")
    (made.backups / f"rollback-{at(500):%Y%m%dT%H%M%SZ}-0001").symlink_to(elsewhere)
    with connect(warehouse_url, autocommit=True) as conn:
        for name, state, when in (
            ("delivered-older", "delivered", at(90)),
            ("delivered-equal", "delivered", at(90, EQUAL)),
            ("dead", "dead", None),
            ("pending", "pending", None),
        ):
            conn.execute(
                "insert into ops.alert_outbox "
                "(dedupe_key, kind, severity, payload, created_at, next_attempt_at, state, delivered_at) "
                "values (%s, 'k', 's', '{}', %s, %s, %s, %s)",
                (name, at(800), at(800), state, when),
            )
        for name, when in (("older", at(400)), ("equal", at(400, EQUAL))):
            conn.execute(
                "insert into ops.check_results "
                "(project_key, asset, check_name, dimension, severity, blocking, passed, run_id, checked_at) "
                "values ('toy', 'a', %s, 'd', 'warn', false, true, 'r', %s)",
                (name, when),
            )
        for name, when in (("older", at(90)), ("equal", at(90, EQUAL))):
            conn.execute(
                "insert into ops.data_observations (table_name, metric_name, observed_at) values ('t', %s, %s)",
                (name, when),
            )
    return made


def test_what_is_older_goes_what_is_as_old_stays(place: Place, tmp_path: Path) -> None:
    before = place.state()
    planned = place.sweep(dry_run=True)
    assert place.state() == before
    swept = place.sweep()
    assert not swept.failed
    counts = {part.name: part.items for part in swept.parts}
    assert counts == {
        "raw pages": 1,
        "quarantine": 1,
        "rollback dumps": 2,
        "delivered alerts": 1,
        "check results": 1,
        "observations": 1,
        "erasure records": 0,
    }
    assert [(part.name, part.items, part.bytes) for part in planned.parts] == [
        (part.name, part.items, part.bytes) for part in swept.parts
    ]
    assert all(part.bytes > 0 for part in swept.parts if part.items)

    after = place.state()
    gone = set(before["files"]) - set(after["files"])
    assert len([path for path in gone if "/pages-" in path]) == 1
    assert {path.split("/")[-2] for path in gone if path.startswith("lake/shopify")} == {"window=2026-10-01"}
    assert {path.split("/")[-2] for path in gone if path.startswith("lake/quarantine")} == {"window=2026-07-01"}
    dumps = {path.split("/")[1] for path in gone if path.startswith("backups/")}
    assert dumps == {f"rollback-{at(90, timedelta(seconds=1)):%Y%m%dT%H%M%SZ}-{end}" for end in ("0003", "base-2")}
    assert not [name for name in dumps if (place.backups / name).exists()]
    assert (tmp_path / "elsewhere" / "manifest.json").exists()
    assert after["alerts"] == ["dead", "delivered-equal", "pending"]
    assert after["results"] == after["observations"] == ["equal"]
    # The rows of the pruned partition are still there to load.
    manifest = partition.read_manifest(place.lake, ORDERS, PROJECT, "2026-10-01")
    assert manifest is not None
    assert read_table(place.lake, ORDERS, manifest, "orders").num_rows == 1
    assert sum(part.items for part in place.sweep().parts) == 0


def test_a_sweep_killed_at_every_step_is_ended_by_the_next(place: Place, tmp_path: Path) -> None:
    script = "import sys; from tests.integration.operations import sweep_once; sweep_once.main(*sys.argv[1:])"
    # In the order of the sweep: each one ends what the one before left.
    points = ("lake.pages_unnamed", "lake.quarantine_deleted", "housekeeping.dump_opened", "housekeeping.rows_deleted")
    for point in points:
        killed = subprocess.run(
            [sys.executable, "-c", script, str(place.root), place.url],
            env={**os.environ, "HOTDASH_KILL_AT": point},
            check=False,
        )
        assert killed.returncode == -9, point
    left = [part.name for part in place.sweep().parts if part.items]
    assert left == ["check results", "observations"]
    after = place.state()
    gone = ("2026-10-01/pages-", "window=2026-07-01", f"{at(90, timedelta(seconds=1)):%Y%m%dT%H%M%SZ}")
    assert not [path for path in after["files"] if any(part in path for part in gone)]
    assert after["alerts"] == ["dead", "delivered-equal", "pending"]
    assert after["results"] == ["equal"]


def test_pages_beside_a_named_file_are_left_to_their_writer(place: Place) -> None:
    folder = partition.folder_of(ORDERS, PROJECT, "2026-10-01")
    place.lake.write(f"{folder}/pages-000000000000.jsonl.zst", b"being written")
    place.sweep()
    assert [path for path in place.lake.list(folder) if "pages-" in path] == [f"{folder}/pages-000000000000.jsonl.zst"]


def test_a_page_without_a_reason_is_as_old_as_its_window(place: Place) -> None:
    folder = f"quarantine/{partition.folder_of(ORDERS, PROJECT, '2026-07-05')}".replace("2026-07-05", "{}")
    for key in ("2026-08-21", "2026-08-22"):
        place.lake.write(f"{folder.format(key)}/aaaaaaaaaaaa.json", b"page")
    place.lake.write(f"{folder.format('2026-08-21')}/aaaaaaaaaaaa.reason.json", b"cut o")
    place.sweep()
    left = place.lake.list("quarantine")
    assert not [path for path in left if "2026-08-21" in path]
    assert [path for path in left if "2026-08-22" in path]


def test_rows_go_in_chunks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_ROWS_AT_ONCE", 2)
    with connect(place.url, autocommit=True) as conn:
        conn.execute(
            "insert into ops.check_results "
            "(project_key, asset, check_name, dimension, severity, blocking, passed, run_id, checked_at) "
            "select 'toy', 'a', 'older', 'd', 'warn', false, true, 'r', %s from generate_series(1, 4)",
            (at(400),),
        )
    counts = {part.name: part.items for part in place.sweep().parts}
    assert counts["check results"] == 5
    assert place.state()["results"] == ["equal"]


def test_messages_of_an_incident_that_is_still_open_are_kept_for_its_thread(place: Place) -> None:
    waiting = sla("waiting", "queue_age", target=5, unit="minutes")
    with connect(place.url, autocommit=True) as conn:
        kept = Kept(conn, waiting, sla("over", "queue_age", target=5, unit="minutes", dataset="agent/facts"))
        for number, over in enumerate((9, 1)):
            seen = Observation("waiting", 9), Observation("over", over)
            kept.tick(NOW - timedelta(days=200 - number), *seen)
        conn.execute(
            "update ops.alert_outbox set state = 'delivered', delivered_at = %s where violation_id is not null",
            (at(150),),
        )
        place.sweep()
        statement = (
            "select v.sla_name, a.event_kind from ops.alert_outbox a join ops.sla_violations v using (violation_id)"
        )
        assert conn.execute(statement).fetchall() == [("waiting", "opened")]
        kept.tick(NOW - timedelta(days=100), Observation("waiting", 1), Observation("over", 1))
        place.sweep()
        assert [kind for _, kind in conn.execute(statement).fetchall()] == ["resolved"]


def test_a_part_that_fails_stops_no_other(place: Place) -> None:
    with connect(place.url, autocommit=True) as conn:
        conn.execute("alter table ops.alert_outbox rename to alert_outbox_elsewhere")
        swept = place.sweep()
        conn.execute("alter table ops.alert_outbox_elsewhere rename to alert_outbox")
    assert [part.name for part in swept.failed] == ["delivered alerts"]
    assert "does not exist" in (swept.failed[0].error or "")
    after = place.state()
    assert after["alerts"] == ["dead", "delivered-equal", "delivered-older", "pending"]
    assert after["results"] == ["equal"]


def test_the_history_of_runs_gets_its_own_limit(place: Place) -> None:
    asked: list[tuple[datetime, bool]] = []

    @dataclass
    class Gone:
        runs: int = 2
        trimmed: int = 3
        events: int = 40
        bytes: int = 4000

    def history(before: datetime, *, dry_run: bool) -> Gone:
        asked.append((before, dry_run))
        return Gone()

    part = place.sweep(history=history, dry_run=True).parts[-1]
    assert asked == [(at(90, EQUAL), True)]
    assert (part.name, part.items, part.bytes) == ("runs", 40, 4000)
    assert part.details == {"runs_removed": 2, "runs_trimmed": 3, "events": 40}


def test_erasures_are_kept_beside_the_backups(place: Place) -> None:
    with connect(place.url, autocommit=True) as conn:
        done = erase.erase(conn, "42", ("Ada", "Grace"), NOW, holders=[erase.Holder("archive", "a.parquet", 1)])
    assert {part.name: part.items for part in place.sweep(dry_run=True).parts}["erasure records"] == 1
    assert erase.kept_beside(FolderStore(place.backups)) == []
    place.sweep()
    assert erase.kept_beside(FolderStore(place.backups)) == [done]
    assert {part.name: part.items for part in place.sweep().parts}["erasure records"] == 0


def test_the_command_tells_the_plan_and_then_does_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDASH_DATABASE_URL", place.url)
    monkeypatch.setenv("HOTDASH_HOME", str(place.root))
    monkeypatch.setenv("HOTDASH_PROJECT_KEY", PROJECT)
    monkeypatch.setenv("HOTDASH_FIXED_NOW", NOW.isoformat())
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def hotdash(*arguments: str) -> dict[str, Any]:
        get_settings.cache_clear()
        done = CliRunner().invoke(app, ["housekeeping", *arguments, "--json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    try:
        before = place.state()
        planned, tried = hotdash("plan"), hotdash("run", "--dry-run")
        assert planned == tried
        assert (planned["dry_run"], planned["items"]) == (True, 7)
        assert place.state() == before
        done = hotdash("run")
        assert (done["dry_run"], done["items"], done["bytes"]) == (False, 7, planned["bytes"])
        assert [part["name"] for part in done["parts"]][-1] == "runs"
        assert place.state()["results"] == ["equal"]
        assert hotdash("run")["items"] == 0
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
