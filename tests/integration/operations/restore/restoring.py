"""What tests of restores share: a warehouse with something in every corner, its backup, and what is in a database.

Belongs here: fixtures' helpers, and `python -m` for a restore that is to be killed. Does not belong here: tests.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from hotdash_pipelines.operations.backup.catalog import figures, pin, tables_of
from hotdash_pipelines.operations.backup.files import BackupFigures, BackupManifest
from hotdash_pipelines.operations.backup.run import create_backup
from hotdash_pipelines.operations.restore.run import Restored, restore
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.integration.agent.matrix import seed

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
REST = r'''
create table staging.plain (id bigint generated always as identity primary key, note text);
insert into staging.plain (note) select 'row ' || n from generate_series(1, 50) n;
create view staging.crossing as select id, topic, app.store_timezone() as zone from agent.facts;
create materialized view marts_core.stored as select count(*) as facts from agent.facts;
create table marts_core.guarded (id int primary key, project text);
insert into marts_core.guarded values (1, 'mine'), (2, 'theirs');
alter table marts_core.guarded enable row level security;
create policy own on marts_core.guarded to authenticated using (project = 'mine');
grant usage on schema marts_core to authenticated;
grant select on marts_core.guarded to authenticated;
create schema "odd ""one""";
create table "odd ""one"""."Ta ble" (x int);
insert into "odd ""one"""."Ta ble" values (7);
create table public.loose (x int);
insert into public.loose values (8);
insert into ops.lake_loads values ('p', 'shopify', 'orders', '2026-11-20', 'sha', now(), now(), '{"orders": 1}');
'''


def name_of(url: str) -> str:
    """The database of a URL."""
    return urlsplit(url).path.lstrip("/")


def fill(url: str) -> None:
    """Rows in every operational table, other schemas that lean on them, settings and rights of the database."""
    with connect(url, autocommit=True) as conn:
        seed(conn)
        conn.execute(REST)
        name = psycopg.sql.Identifier(name_of(url))
        for statement in (
            "alter database {} set work_mem = '8MB'", "alter database {} set search_path = staging, public",
            "alter database {} set default_transaction_read_only = off", "alter database {} set app.flag = 'it''s'",
            "alter role qa_team in database {} set statement_timeout = '5s'",
            "revoke connect on database {} from public", "grant connect on database {} to service_role",
            "alter database {} connection limit 80", "comment on database {} is 'of the tests'",
        ):  # fmt: skip
            conn.execute(psycopg.sql.SQL(statement).format(name))


def back_up(url: str, folder: Path, **options: Any) -> tuple[FolderStore, BackupManifest]:
    """A backup of the database in the store of `folder`."""
    store = FolderStore(folder / "backups")
    return store, create_backup(url, store, now=NOW, scratch=folder / "scratch", **options).manifest


def bring_back(url: str, folder: Path, backup_id: str, **options: Any) -> Restored:
    """Restore from the store of `folder`, by default in the place of what is there."""
    options = {"replace": True, "scratch": folder / "scratch", **options}
    return restore(url, FolderStore(folder / "backups"), backup_id, **options)


def contents(url: str) -> dict[str, BackupFigures]:
    """Rows and hash of every table of a database."""
    with connect(url) as conn:
        pin(conn)
        return figures(conn, tables_of(conn, "full"))


def databases(url: str, word: str = "") -> set[str]:
    """The other databases of the server that were made from the one of the URL, those of a kind only."""
    name = name_of(url)
    with connect(with_database(url, "postgres")) as conn:
        names = {one for (one,) in conn.execute("select datname from pg_database")}
    return {one for one in names if one.startswith(f"{name}_{word}")}


@contextmanager
def tidy(url: str) -> Iterator[None]:
    """Drop afterwards what restores keep beside the database."""
    try:
        yield
    finally:
        with connect(with_database(url, "postgres"), autocommit=True) as admin:
            for name in databases(url):
                admin.execute(psycopg.sql.SQL("drop database {} with (force)").format(psycopg.sql.Identifier(name)))


if __name__ == "__main__":
    bring_back(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
