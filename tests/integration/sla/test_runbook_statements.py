"""The statements of the runbooks run on the schema as it is."""

import re
import shlex
from pathlib import Path

import psycopg

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.sla import load_definitions
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.postgres import connect

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"
_COMMAND = re.compile(r'hotdash db psql -- -c "([^"]+)"')


def _statements() -> list[tuple[str, str]]:
    """Page and statement of every `hotdash db psql -c` in the runbooks that an SLA or another of them names."""
    named = {Path(definition.runbook).name for definition in load_definitions(PROJECT_ROOT / "slas")} | {
        "sla-unknown.md"
    }
    return [
        (name, " ".join(statement.split()))
        for name in sorted(named)
        for statement in _COMMAND.findall((RUNBOOKS / name).read_text())
    ]


def test_every_statement_runs(warehouse_url: str) -> None:
    found = _statements()
    assert len(found) >= 20
    with connect(warehouse_url) as conn:
        ensure_raw_tables(conn, load_contracts())
    refused = []
    for name, statement in found:
        assert shlex.split(f'"{statement}"') == [statement], f"{name}: the shell changes {statement}"
        with connect(warehouse_url) as conn:
            try:
                conn.execute(statement.encode())
            except psycopg.Error as error:
                refused.append(f"{name}: {error.diag.message_primary}: {statement}")
    assert refused == []
