"""Whoever is woken finds what to do: every definition leads to a runbook that is whole."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.cli.sla.view import HEADINGS, missing_headings
from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.sla import Definition, load_definitions

SLAS = PROJECT_ROOT / "slas"
ENTRY = """
slas:
  - {name: orders_lag, dataset: raw_shopify/orders, type: event_time_lag, target: 60, owner: "team:data",
     params: {column: updated_at}, runbook: docs/runbooks/source-behind.md}
"""


@pytest.mark.parametrize("definition", load_definitions(SLAS), ids=lambda definition: definition.name)
def test_every_definition_names_a_runbook_with_detection_triage_and_resolution(definition: Definition) -> None:
    assert missing_headings(PROJECT_ROOT / definition.runbook) == ""


def test_a_runbook_that_lacks_a_heading_or_is_missing_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert missing_headings(page) == "is not there"
    for heading in HEADINGS:
        page.write_text("\n".join(f"## {other}" for other in HEADINGS if other != heading))
        assert missing_headings(page) == f"lacks the heading {heading}"
    page.write_text("\n".join(f"## {heading}" for heading in HEADINGS))
    assert missing_headings(page) == ""


def _validate(folder: Path) -> tuple[int, Any]:
    done = CliRunner().invoke(app, ["sla", "validate", "--slas", str(folder), "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_validate_names_the_file_and_entry_at_fault(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(ENTRY)
    assert _validate(tmp_path) == (0, {"ok": True, "slas": 1, "problems": []})
    broken = {
        "target: 60": ("target: -1", "all.yaml: orders_lag: target must be a number of at least 0"),
        "column: updated_at": (
            "colum: updated_at",
            "all.yaml: orders_lag: params lacks column, which event_time_lag needs",
        ),
        "source-behind.md": (
            "nowhere.md",
            "orders_lag: runbook: docs/runbooks/nowhere.md is not there",
        ),
    }
    for right, (wrong, told) in broken.items():
        (tmp_path / "all.yaml").write_text(ENTRY.replace(right, wrong))
        code, found = _validate(tmp_path)
        assert (code, found["ok"], found["problems"]) == (1, False, [told])
    done = CliRunner().invoke(app, ["sla", "validate", "--slas", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"hotdash: {broken['source-behind.md'][1]}\n"


def test_validate_reports_every_broken_folder_in_one_line(tmp_path: Path) -> None:
    code, found = _validate(tmp_path / "nothing")
    assert code == 1
    assert found["problems"][0].startswith("no SLA file in ")
