"""`hotdash sla` and `hotdash incident`: what they print and their exit codes, over violations of the real engine."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.cli.sla import given as sla_given
from hotdash_pipelines.cli.sla import simulate as sla_simulate
from hotdash_pipelines.services.sla_notices import notice_writer
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sla import Observation, load_definitions
from hotdash_pipelines.sla.records.heartbeat import DELIVERY, EVALUATION, EVALUATION_SECONDS, beat
from hotdash_pipelines.sla.records.store import apply_tick
from hotdash_pipelines.warehouse.postgres import connect

START = datetime(2026, 2, 10, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLAS = """
defaults: {owner: "team:data", runbook: docs/runbooks/source-behind.md}
slas:
  - {name: orders_lag, dataset: raw_shopify/orders, type: event_time_lag, target: 60, unit: minutes, severity: high,
     params: {column: updated_at}, open_after: 2, escalate: [{after: 30m, severity: critical}]}
  - {name: orders_by_six, dataset: marts_core/fct_order, type: materialized_within, by: "06:00"}
  - {name: never_seen, dataset: raw_shopify/products, type: event_time_lag, target: 60, params: {column: updated_at},
     grace: 9d}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "slas"
    found.mkdir()
    (found / "all.yaml").write_text(SLAS)
    return found


@pytest.fixture
def clock(warehouse_url: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Clock"]:
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setattr(sla_given, "FOLDER", folder)
    monkeypatch.setattr(sla_simulate, "_upstream", dict)
    yield Clock(warehouse_url, folder, monkeypatch)
    get_settings.cache_clear()


class Clock:
    """The evaluation, minute by minute; the command sees the instant of the last tick."""

    def __init__(self, url: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.url, self.patch = url, patch
        self.definitions = load_definitions(folder, store_zone="America/New_York")
        self.told: list[tuple[str, str, str]] = []
        self.at(START)

    def at(self, now: datetime) -> None:
        """Set the present of the command."""
        self.now = now
        self.patch.setenv("HOTDASH_FIXED_NOW", now.isoformat())
        get_settings.cache_clear()

    def tick(self, minutes: int, newest_order: datetime | None) -> None:
        """The next ticks; the newest order is seen as given, yesterday's marts as made at 05:00 store time."""
        made = Observation("orders_by_six", partition="2026-02-09", at=START)
        with connect(self.url, autocommit=True) as conn:
            for _ in range(minutes):
                self.at(self.now + MINUTE)
                seen = [Observation("orders_lag", at=newest_order), made]
                done = apply_tick(conn, self.definitions, seen, {}, self.now, enqueue=notice_writer(get_settings()))
                assert done.tick is not None
                self.told += [(event.kind, event.sla, event.at.isoformat()) for event in done.tick.events]
            beat(conn, DELIVERY, self.now)


def _run(group: str, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [group, *arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def _json(group: str, *arguments: str, code: int = 0) -> Any:
    return json.loads(_run(group, *arguments, "--json", code=code))


def test_a_violation_is_seen_taken_on_escalated_no_further_and_written_up(clock: Clock, tmp_path: Path) -> None:
    clock.tick(5, START - 10 * MINUTE)
    assert _json("sla", "status", code=0)["open"] is False
    lines = _run("sla", "status").splitlines()
    assert len(lines) == 3
    assert re.search(r"^ok +orders_lag +15 minutes \(at most 60 minutes\) +team:data", "\n".join(lines), re.M)
    assert re.search(r"^unknown +never_seen +not known: nobody looked \(promised: at most 60 minutes\)", lines[0])
    assert re.search(
        r"^ok +orders_by_six 2026-02-09 +there since Tue 02-10 05:00 \(by 06:00\) .*Wed 2026-02-11 06:00$", lines[1]
    )
    assert _run("incident", "list") == "no incident\n"

    clock.tick(70, START - 10 * MINUTE)
    lines = _run("sla", "status", code=1).splitlines()
    assert re.search(
        r"^breach +orders_lag +85 minutes \(at most 60 minutes\) +for 25 min",
        lines[0],
    )
    found = _json("sla", "status", code=1)
    (opened,) = [one for one in found["slas"] if one["sla"] == "orders_lag"]
    number, incident = opened["violation_id"], opened["incident_id"]
    assert f"#{number} high" in lines[0]

    taken = _json("sla", "ack", "orders_lag", "--by", " Ada  Lovelace ", "--note", "Shopify is down")
    assert taken == {
        "sla": "orders_lag",
        "partition": "",
        "violation_id": number,
        "acked_by": "Ada Lovelace",
        "is_new": True,
    }
    again = _json("sla", "ack", str(number), "--by", "Grace")
    assert (again["acked_by"], again["is_new"]) == ("Ada Lovelace", False)
    assert "taken by Ada Lovelace" in _run("sla", "status", code=1)
    clock.tick(30, START - 10 * MINUTE)
    assert not [kind for kind, _, _ in clock.told if kind == "escalated"]
    with connect(clock.url) as conn:
        sent = conn.execute("select payload::text from ops.alert_outbox where event_kind = 'acknowledged'").fetchall()
    assert "Shopify is down" in str(sent)

    clock.tick(2, clock.now)
    assert _json("sla", "status")["open"] is False
    (violation,) = [one for one in _json("sla", "history")["violations"] if one["sla"] == "orders_lag"]
    assert (violation["reason"], violation["acked_by"]) == ("recovered", "Ada Lovelace")
    assert _run("sla", "history", "--name", "orders_by_six") == "no violation\n"
    assert _run("sla", "history", "--since", "1m", "--name", "orders_lag") != "no violation\n"
    shown = _run("incident", "show", str(incident))
    assert ("Shopify is down" in shown, "acknowledged" in shown, "resolved" in shown) == (True, True, True)
    assert _json("incident", "list", "--open")["incidents"] == []
    assert [row["incident_id"] for row in _json("incident", "list")["incidents"]] == [incident]

    folder = tmp_path / "postmortems"
    path = Path(_json("incident", "postmortem", str(incident), "--out", str(folder))["path"])
    assert "orders_lag" in path.read_text()
    assert _json("incident", "show", str(incident))["row"]["postmortem"] == str(path)
    _run("incident", "postmortem", str(incident), "--out", str(folder), code=1)


def test_what_is_not_open_cannot_be_taken_on(clock: Clock) -> None:
    clock.tick(2, clock.now)
    for name in ("orders_lag", "nothing_such", "4711"):
        assert _run("sla", "ack", name, "--by", "Ada", code=1) == ""
    assert _run("sla", "ack", "orders_lag", "--by", "Ada", "--note", "x" * 501, code=2) == ""
    _run("incident", "show", "4711", code=1)
    _run("sla", "history", "--since", "yesterday", code=2)


def test_the_probe_fails_when_a_loop_stands_still_for_three_turns(clock: Clock) -> None:
    found = _json("sla", "probe", code=1)
    assert [loop["message"] for loop in found["loops"]] == [
        "sla_evaluation has never run",
        "alert_delivery has never run",
    ]
    clock.tick(1, clock.now)
    last = clock.now
    _run("sla", "probe")
    turns = 3 * timedelta(seconds=EVALUATION_SECONDS)
    clock.at(last + turns)
    _run("sla", "probe")
    clock.at(last + turns + timedelta(seconds=1))
    assert _json("sla", "probe", code=1)["ok"] is False
    assert "STOPPED" in _run("sla", "probe", code=1)
    assert "what stands here is old" in CliRunner().invoke(app, ["sla", "status"]).stderr
    _run("sla", "status", code=1)
    clock.at(last + 10 * MINUTE)
    with connect(clock.url, autocommit=True) as conn:
        beat(conn, EVALUATION, clock.now)
    found = _json("sla", "probe", code=1)
    assert {loop["name"]: loop["ok"] for loop in found["loops"]} == {EVALUATION: True, DELIVERY: False}
    clock.at(last - 10 * MINUTE)
    assert "in the future" in _run("sla", "probe", code=1)


def test_a_simulation_tells_what_was_told_and_what_another_threshold_would_have(clock: Clock, folder: Path) -> None:
    newest = START - 10 * MINUTE
    clock.tick(100, newest)
    clock.tick(5, clock.now)
    before = _rows(clock.url)
    first, last = START + MINUTE, clock.now
    window = ("--step", "1m", "--from", first.isoformat(), "--to", last.isoformat())
    played = _json("sla", "simulate", *window)
    assert [(one["kind"], one["sla"], one["at"]) for one in played["events"]] == clock.told
    counts = played["slas"]["orders_lag"]
    assert (counts["opened"], counts["escalated"], counts["resolved"], counts["open_at_end"]) == (1, 1, 1, 0)
    assert counts["breach_minutes"] == 51
    assert played["ticks"] == 105
    text = _run("sla", "simulate", *window)
    assert re.search(r"^Tue 2026-02-10 05:52 EST  opened +high +orders_lag: ", text, re.M)
    assert "opened 1, escalated 1, resolved 1, open at the end 0" in text

    other = folder.parent / "tried"
    other.mkdir()
    (other / "all.yaml").write_text(SLAS.replace("target: 60, unit: minutes", "target: 90, unit: minutes"))
    tried = _json("sla", "simulate", *window, "--slas", str(other))["slas"]["orders_lag"]
    assert (tried["opened"], tried["breach_minutes"]) == (1, 21)
    open_at_end = _json("sla", "simulate", *window[:4], "--to", (START + 95 * MINUTE).isoformat())
    assert open_at_end["slas"]["orders_lag"]["open_at_end"] == 1
    assert open_at_end["slas"]["orders_lag"]["breach_minutes"] == 45
    assert _rows(clock.url) == before

    _run("sla", "simulate", "--from", "2025-01-01", "--to", "2025-01-02", code=1)
    _run("sla", "simulate", "--from", "2025-01-02", "--to", "2025-01-01", code=2)
    _run("sla", "simulate", "--from", "1d", "--step", "soon", code=2)


def _rows(url: str) -> dict[str, int]:
    tables = ("sla_violations", "sla_state", "incidents", "incident_events", "data_observations", "alert_outbox")
    with connect(url) as conn:
        return {name: conn.execute(f"select count(*) from ops.{name}").fetchall()[0][0] for name in tables}
