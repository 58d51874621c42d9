"""slas/*.yaml: what is refused, that the error names file and entry, and what makes a new version."""

from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from hotdash_pipelines.sla import Definition, SlaError, load_definitions
from tests.unit.sla.story import sla

GOOD = """
defaults:
  owner: team:data
  runbook: docs/runbooks/sla-late.md
  severity: high
slas:
  - name: marts_by_six
    dataset: marts_core/fct_order
    type: materialized_within
    by: "06:00"
    quiet_hours: {from: "22:00", to: "07:00"}
    maintenance:
      - {from: "02:00", to: "04:00", days: [sun]}
      - {start: 2026-03-08 01:00, end: 2026-03-08 05:00, reason: upgrade}
    escalate:
      - {after: 30m, severity: critical}
      - {after: 1h30m, channel: "#on-call"}
  - name: backups_are_young
    dataset: pipeline
    type: backup_age
    target: 26
    zone: UTC
    severity: critical
"""


def write(folder: Path, content: str, name: str = "marts.yaml") -> Path:
    (folder / name).write_text(content)
    return folder


def test_a_good_file_reads_with_its_defaults_and_what_the_types_imply(tmp_path: Path) -> None:
    backups, marts = load_definitions(write(tmp_path, GOOD), store_zone="Europe/Berlin")
    assert (marts.zone, marts.by, marts.target, marts.unit, marts.offset_days) == (
        "Europe/Berlin",
        time(6),
        0,
        "minutes",
        1,
    )
    assert [step.after for step in marts.escalate] == [timedelta(minutes=30), timedelta(minutes=90)]
    assert (marts.severity, marts.check_name, marts.comparison) == ("high", "sla_marts_by_six", "at_most")
    assert (backups.zone, backups.unit, backups.severity, backups.target) == ("UTC", "hours", "critical", Decimal(26))


@pytest.mark.parametrize(
    "before, after, said",
    [
        ("type: backup_age", "type: backup_aeg", "backups_are_young: type: "),
        ("type: backup_age", "type: backup_age\n    colour: red", "backups_are_young: colour: Extra inputs"),
        ("target: 26", "target: -1", "backups_are_young: target must be a number of at least 0"),
        ("target: 26", "", "backups_are_young: target is missing"),
        ("target: 26", "target: .nan", "backups_are_young: target: "),
        ("target: 26", "target: 26\n    unit: ms", "backups_are_young: unit of backup_age is hours or"),
        (
            "target: 26",
            "target: 26\n    alert_threshold: 30",
            "backups_are_young: alert_threshold must lie on the good",
        ),
        ("target: 26", 'target: 26\n    by: "06:00"', "backups_are_young: by is for deadlines, not for backup_age"),
        ("target: 26", "target: 26\n    comparison: at_least", "backups_are_young: comparison of backup_age is always"),
        ("target: 26", "target: 26\n    depends_on: [nobody]", "backups_are_young: depends_on names nobody"),
        ("target: 26", "target: 26\n    depends_on: [backups_are_young]", "depends_on names the SLA itself"),
        ("target: 26", "target: 26\n    target: 27", "line 18: target is given twice"),
        ("zone: UTC", "zone: Mars/Olympus", "backups_are_young: zone: 'Mars/Olympus' is no IANA time zone"),
        ('by: "06:00"', "by: 16:00", "marts_by_six: by: 960 is no time of day; write it in quotes"),
        ('by: "06:00"', 'by: "6:00"', "marts_by_six: by: '6:00' is no time of day"),
        ('    by: "06:00"\n', "", "marts_by_six: by is missing"),
        ('by: "06:00"', 'by: "06:00"\n    opens: "07:00"', "marts_by_six: by must be later in the day than opens"),
        ("after: 30m", "after: 30 minutes", "marts_by_six: escalate.0.after: '30 minutes' is no duration"),
        ("after: 30m", "after: 2h", "marts_by_six: escalate: each step must come after the one before"),
        (", severity: critical}", "}", "marts_by_six: escalate.0: give a severity, a channel or a mention"),
        ("days: [sun]", "days: [sunday]", "marts_by_six: maintenance.0.days.0: Input should be"),
        ("end: 2026-03-08 05:00", "end: 2026-03-07 05:00", "marts_by_six: maintenance.1: end is not after start"),
        ('to: "07:00"', 'to: "22:00"', "marts_by_six: quiet_hours: from and to are the same time"),
        ("name: backups_are_young", "name: marts_by_six", "marts_by_six is given twice, first in marts.yaml"),
        ("name: backups_are_young", "title: x", "entry 2: "),
        ("runbook: docs/runbooks/sla-late.md", "runbook: somewhere", "marts_by_six: runbook: "),
        ("defaults:", "default:", "default is not known"),
        ("slas:", "sla:", "needs a list `slas:`"),
    ],
)
def test_a_mistake_is_refused_in_one_line_that_names_file_and_entry(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in GOOD
    with pytest.raises(SlaError) as refused:
        load_definitions(write(tmp_path, GOOD.replace(before, after, 1)))
    message = str(refused.value)
    assert message.startswith("marts.yaml: ")
    assert said in message
    assert "\n" not in message


def test_a_name_in_two_files_is_refused_with_both(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "a.yaml")
    with pytest.raises(SlaError, match=r"b\.yaml: marts_by_six is given twice, first in a\.yaml"):
        load_definitions(write(tmp_path, GOOD, "b.yaml"))


def test_a_folder_without_files_is_refused_and_not_a_promise_kept(tmp_path: Path) -> None:
    with pytest.raises(SlaError, match="no SLA file"):
        load_definitions(tmp_path)
    with pytest.raises(SlaError, match="at least one entry"):
        load_definitions(write(tmp_path, "slas: []\n"))


@pytest.mark.parametrize(
    "change",
    [
        {"target": 10},
        {"by": "05:00"},
        {"zone": "UTC"},
        {"dataset": "marts_core/dim_customer"},
        {"calendar": {"days": ["mon"]}},
        {"opens": "01:00"},
        {"alert_threshold": -10},
        {"params": {"asset": "x"}},
    ],
)
def test_a_change_of_the_promise_is_a_new_version(change: dict[str, object]) -> None:
    assert sla(**change).version != sla().version


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "team:support"},
        {"severity": "critical"},
        {"open_after": 3},
        {"escalate": [{"after": "1h", "mention": "@x"}]},
        {"description": "Said otherwise."},
        {"target": "0.00"},
    ],
)
def test_a_change_of_who_is_told_and_how_is_none(change: dict[str, object]) -> None:
    assert sla(**change).version == sla().version


def test_a_definition_survives_json() -> None:
    for definition in (
        sla(quiet_hours={"from": "22:00", "to": "07:00"}, maintenance=[{"from": "01:00", "to": "02:00"}]),
        sla("lag", "event_time_lag", grace="1d2h3m4s", catch_up="0s"),
        sla(maintenance=[{"start": "2026-03-08 01:00", "end": "2026-03-08 05:00"}], calendar={"skip": ["2026-12-25"]}),
    ):
        again = Definition.model_validate_json(definition.model_dump_json(by_alias=True))
        assert (again, again.version) == (definition, definition.version)
