"""A stack under test: its addresses and environment, and how to run `hotdash` in it.

Belongs here: starting a stand-in store and databases for one test, running commands, comparing states.
Does not belong here: assertions about the pipeline.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hotdash_pipelines.warehouse.postgres import connect, with_database

# Two days after the store's clocks went forward, so that every load crosses a day of 23 hours.
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SCALE = 0.003
SEED = 11

# Which dbt run wrote a row; the only column of raw tables and marts that the frozen clock does not fix.
_RUN_ID = "_dbt_run_id"


@dataclass
class Ran:
    """One finished `hotdash` command."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The object on standard output; fails with the error output when there is none."""
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass
class Stack:
    """Where everything of one stack is. `outcome` is what the first `hotdash up` printed, where it was run."""

    home: Path
    warehouse_url: str
    dagster_url: str
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which any HotDash process belongs to this stack."""
        return {
            "HOTDASH_HOME": str(self.home),
            "HOTDASH_DATABASE_URL": self.warehouse_url,
            "HOTDASH_DAGSTER_DATABASE_URL": self.dagster_url,
            "HOTDASH_FIXED_NOW": NOW.isoformat(),
            "HOTDASH_DEMO_SCALE": str(SCALE),
            "HOTDASH_DEMO_SEED": str(SEED),
            # The clock stands still: every window would count as read just now.
            "HOTDASH_REREAD_AFTER_MINUTES": "0",
        }

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 400) -> Ran:
        """Run `hotdash <arguments>` to its end."""
        finished = subprocess.run(
            [sys.executable, "-m", "hotdash_pipelines.cli", *arguments],
            env={**os.environ, **self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(finished.returncode, finished.stdout, finished.stderr)

    def up(self, days: int, environment: Mapping[str, str] | None = None) -> Ran:
        """`hotdash up --no-serve --json`."""
        return self.run("up", "--no-serve", "--json", "--days", str(days), environment=environment)

    def query(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Rows of a query on the warehouse."""
        with connect(self.warehouse_url) as conn:
            return conn.execute(statement, parameters).fetchall()

    def query_dagster(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a query on Dagster's own database."""
        with connect(self.dagster_url) as conn:
            return conn.execute(statement).fetchall()

    def checksums(self, *schemas: str, without: Sequence[str] = ()) -> dict[str, str]:
        """A checksum of every table, whatever the order of its rows, `_loaded_at` included.

        Only the id of the dbt run is left out, and the columns named in `without`.
        """
        listed = (
            "select c.table_schema, c.table_name, string_agg(quote_ident(c.column_name), ', ' order by c.column_name) "
            "from information_schema.columns c join information_schema.tables t using (table_schema, table_name) "
            "where t.table_type = 'BASE TABLE' and c.table_schema like any(%s) and c.column_name <> all(%s) "
            "group by 1, 2 order by 1, 2"
        )
        checksums = {}
        with connect(self.warehouse_url) as conn:
            for schema, table, columns in conn.execute(listed, (list(schemas), [_RUN_ID, *without])).fetchall():
                # Sorted here: two servers may order texts differently.
                rows = sorted(conn.execute(f'select row({columns})::text from "{schema}"."{table}"').fetchall())
                checksums[f"{schema}.{table}"] = f"{len(rows)}:{hashlib.sha256(repr(rows).encode()).hexdigest()}"
        return checksums

    def lake_digests(self) -> dict[str, str]:
        """Content digest of every manifest of the lake, by its path."""
        from hotdash_pipelines.contracts.manifest import PartitionManifest

        root = self.home / "lake"
        return {
            str(path.relative_to(root)): PartitionManifest.from_json(path.read_bytes()).content_digest()
            for path in sorted(root.rglob("manifest.json"))
        }


@contextmanager
def open_stack(server: Any, session_home: Path, home: Path, admin_url: str | None = None) -> Iterator[Stack]:
    """A stack on fresh databases; `admin_url` names another server than the session's embedded one."""
    from tests.databases import fresh_database, template

    admin = admin_url or server.url("postgres")
    with fresh_database(admin, template(admin, session_home)) as warehouse_url:
        # `hotdash up` makes Dagster's database; most stacks never run it.
        name = warehouse_url.rsplit("/", 1)[1] + "_dagster"
        try:
            yield Stack(home, warehouse_url, with_database(warehouse_url, name))
        finally:
            with connect(admin, autocommit=True) as conn:
                conn.execute(f'drop database if exists "{name}" with (force)')
