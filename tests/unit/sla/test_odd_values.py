"""Values far out of range are refused where they are written, with the entry's name; none may end a tick later."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer

from hotdash_pipelines.cli.sla.given import instant, span
from hotdash_pipelines.sla import Observation, SlaError, evaluate, load_definitions
from hotdash_pipelines.sla.observers.facts import wanted
from tests.unit.sla.story import sla

NOW = datetime(2026, 3, 10, 11, tzinfo=UTC)


class Berlin:
    """The settings that an instant needs."""

    zone = ZoneInfo("Europe/Berlin")

    def now(self) -> datetime:
        return NOW


def write(folder: Path, entry: str) -> Path:
    (folder / "odd.yaml").write_text(
        f"slas: [{{name: odd, dataset: a/b, owner: x, runbook: docs/runbooks/a.md, {entry}}}]"
    )
    return folder


@pytest.mark.parametrize(
    "entry, said",
    [
        ("type: backup_age, target: 26, grace: 99999999999d", "odd.yaml: odd: grace: "),
        ("type: backup_age, target: 26, grace: 999999999d", "longer than 36500 days"),
        ("type: backup_age, target: '1e12'", "target is longer than 36500 days"),
        ("type: materialized_within, by: '06:00', unit: days, target: 99999999", "target is longer than 36500 days"),
    ],
)
def test_a_length_of_time_that_no_calendar_holds_is_refused(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(SlaError, match=said):
        load_definitions(write(tmp_path, entry))


def test_the_longest_lengths_can_be_judged(tmp_path: Path) -> None:
    entry = "type: materialized_within, by: '06:00', unit: days, target: 36500, grace: 36500d"
    (definition,) = load_definitions(write(tmp_path, entry))
    assert evaluate(definition, Observation("odd"), NOW).state == "pending"


def test_a_definition_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(SlaError, match=r"^folder.yaml: cannot be read \(Is a directory\)$"):
        load_definitions(tmp_path)


@pytest.mark.parametrize("hours", ["a day", "24", True, 0, -3, float("inf"), float("nan"), ["24"]])
def test_a_window_that_is_no_length_is_refused_before_it_ends_every_tick(hours: object) -> None:
    definition = sla("odd", "availability", target=95, params={"of": "runs", "window_hours": hours})
    assert "params: window_hours must be a number" in definition.sla_type.objection(definition.params)


def test_windows_of_a_part_of_an_hour_and_of_whole_days_are_taken() -> None:
    runs = sla("runs", "availability", target=95, params={"of": "runs", "window_hours": 87_600.0})
    quick = sla("quick", "latency_p95", target=95, params={"window_minutes": 0.5})
    settled = sla("settled", "source_watermark_lag", params={"settled_after_days": 0, "lookback_days": 3_650})
    assert not any(definition.sla_type.objection(definition.params) for definition in (runs, quick, settled))
    assert wanted([runs], {}, NOW).runs_since is not None
    assert "lookback_days must be a number" in settled.sla_type.objection({"lookback_days": 2.5})


@pytest.mark.parametrize("text", ["99999999999999d", "9999999d", "0001-01-01", "0001-01-01T12:00Z", "9999-12-31T23-05"])
def test_an_instant_that_no_calendar_holds_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--since takes"):
        instant("--since", text, Berlin())  # type: ignore[arg-type]
    with pytest.raises(typer.BadParameter, match="--step takes"):
        span("--step", "99999999999999d")
