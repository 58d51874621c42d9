"""docs/how-to/add-a-stream.md followed to the letter in a copy of the project: Chatwoot's teams are loaded."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.server.binaries import reaches, server_user
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.pipeline.guides.copies import MADE
from tests.pipeline.harness.homes import Home
from tests.pipeline.harness.stack import Ran

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.xdist_group("guides"),
    pytest.mark.timeout(900),
]


def found(home: Home, statement: str) -> list[tuple[Any, ...]]:
    server = EmbeddedPostgres(home.path)
    server.up()
    with connect(server.url()) as conn:
        return conn.execute(statement).fetchall()


def test_a_contract_without_its_dbt_source_fails_the_check(home: Home, project: Path) -> None:
    sources = project / "dbt_project/models/staging/chatwoot/_chatwoot__sources.yml"
    after = sources.read_text()
    assert "One row is one team" in after
    before = after.replace("One row is one team", "One row is something else")
    sources.write_text(before)
    assert home.run("contracts", "dbt-sources", "--check").code == 1
    assert sources.read_text() == before
    assert home.run("contracts", "dbt-sources").code == 0
    assert sources.read_text() == after


def test_the_guide_makes_assets_checks_a_table_and_staged_rows(home: Home, ran: Ran) -> None:
    assert ran.code == 0, ran.err
    assets = ran.json()["assets"]
    ((rows,),) = found(home, "select count(*) from raw_chatwoot.teams")
    assert rows > 0
    assert {assets[name] for name in MADE["add-a-stream.md"]} == {rows}
    names = found(home, "select name from staging.stg_chatwoot__teams")
    assert [name for (name,) in names if name != name.lower()] == []
    ((comment,),) = found(home, "select obj_description('raw_chatwoot.teams'::regclass)")
    assert "One row is one team" in comment
    checks = {name for (name,) in found(home, "select check_name from ops.check_results where asset ~ 'teams'")}
    assert checks == {
        "row_counts_match_the_source",
        "all_fields_and_values_are_known",
        "no_answer_was_held_back",
        "no_record_waits_in_quarantine",
        "stg_chatwoot__teams_rows_are_unique",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_root_ran_it_below_a_private_folder_and_no_mode_changed(modes: dict[Path, int], ran: Ran) -> None:
    """As in a clone below a 0700 home directory: the server's user cannot even enter."""
    assert ran.code == 0
    assert any(stat.S_IMODE(mode) == 0o700 for mode in modes.values())
    assert not reaches(server_user(), next(iter(modes)))
    assert {folder: folder.stat().st_mode for folder in modes} == modes


def test_nothing_of_the_toy_stream_is_in_the_shipped_project() -> None:
    assert not list((PROJECT_ROOT / "hotdash_pipelines" / "contracts").rglob("teams.yaml"))
    assert "fetch_teams" not in (PROJECT_ROOT / "hotdash_pipelines/sources/chatwoot/streams.py").read_text()
