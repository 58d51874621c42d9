"""Undoing migrations without losing rows unawares.

Belongs here: what a rollback would take with it, the refusal, the proven dump before it is let through.
Does not belong here: running the files (migrate.py), dumping (dump.py).
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal
from hotdash_pipelines.warehouse.migrations.files import VERSIONS, Migration, migrations
from hotdash_pipelines.warehouse.schema import dump, migrate

if TYPE_CHECKING:
    import psycopg

# A table keeps its rows as long as it keeps its file on disk (a rewrite or TRUNCATE makes a new one) and its columns.
_TABLES = """
select c.oid, n.nspname, c.relname, pg_relation_filenode(c.oid), pg_stat_get_xact_tuples_deleted(c.oid),
    array(select attnum from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""


class RollbackRefused(SafetyRefusal):
    """A rollback would lose rows and is not allowed to, or they could not be brought to safety. Nothing was changed."""


@dataclass(frozen=True)
class Loss:
    """A table whose rows a rollback would take, and how many there are."""

    schema: str
    table: str
    rows: int

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True)
class Undone:
    """What a rollback did: the revisions, newest first, what went with them, and where the dump of that is."""

    revisions: list[str]
    losses: list[Loss]
    backup: Path | None


def guarded_rollback(
    url: str, revision: str | None, *, allow_data_loss: bool, backups: Path, now: datetime, folder: Path = VERSIONS
) -> Undone:
    """Undo every migration after `revision` (None: all) in one transaction, keeping the rows that this would take.

    The tables that would lose rows are found by running the rollback and taking it back. If there are any, the rollback
    is refused, or with `allow_data_loss` they are first dumped to `backups/rollback-<now>-<revision>/`, locked against
    writers from before the dump until they are gone. Raises RollbackRefused, or MigrationError as `migrate.rollback`.
    """
    losses: list[Loss] = []
    backup: list[Path] = []

    def guard(conn: "psycopg.Connection[Any]", undone: list[Migration]) -> None:
        losses.extend(_locked_losses(conn, undone, folder))
        if losses and not allow_data_loss:
            raise RollbackRefused(
                f"the rollback would take the rows of {', '.join(f'{loss} ({loss.rows})' for loss in losses)}: "
                "nothing was changed; pass --allow-data-loss to dump them first and go on"
            )
        if losses:
            backup.append(_save(conn, url, losses, undone, backups, now, revision, folder))

    revisions = migrate.rollback(url, revision, folder, before=guard)
    return Undone(revisions, losses, backup[0] if backup else None)


def rehearse(url: str, revision: str | None, folder: Path = VERSIONS) -> list[Loss]:
    """The tables that a rollback would take rows from; runs it in a transaction that is rolled back."""
    losses: list[Loss] = []

    def look(conn: "psycopg.Connection[Any]", undone: list[Migration]) -> None:
        losses.extend(_locked_losses(conn, undone, folder))
        raise _RehearsalOver

    with suppress(_RehearsalOver):
        migrate.rollback(url, revision, folder, before=look)
    return losses


class _RehearsalOver(Exception):
    pass


def _locked_losses(conn: "psycopg.Connection[Any]", undone: Sequence[Migration], folder: Path) -> list[Loss]:
    """Losses of a rollback. Their tables stay locked against writers, so the counts hold until the transaction ends."""
    from psycopg import sql

    before = _tables(conn)
    with conn.transaction(force_rollback=True):
        for migration in undone:
            conn.execute((folder / f"{migration.name}.rollback.sql").read_text().encode())
        after = _tables(conn)
    touched = sorted(names for oid, (names, *kept) in before.items() if not _keeps(kept, after.get(oid)))
    if touched:
        names = sql.SQL(", ").join(sql.Identifier(*names) for names in touched)
        conn.execute(sql.SQL("lock table {} in share row exclusive mode").format(names))
    counted = _count(conn, touched)
    return [Loss(*names, rows) for names, rows in counted.items() if rows]


def _tables(conn: "psycopg.Connection[Any]") -> dict[int, tuple[tuple[str, str], int, int, set[int]]]:
    rows = conn.execute(_TABLES).fetchall()
    return {oid: ((schema, table), file, deleted, set(columns)) for oid, schema, table, file, deleted, columns in rows}


def _keeps(before: Sequence[Any], after: Sequence[Any] | None) -> bool:
    if after is None:
        return False
    (file, deleted, columns), (_, file_after, deleted_after, columns_after) = before, after
    return file == file_after and deleted == deleted_after and columns <= columns_after


def _count(conn: "psycopg.Connection[Any]", tables: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """True row counts: row-level security that cannot be lifted is an error here, never a smaller number."""
    from psycopg import sql

    counts = {}
    with conn.transaction(force_rollback=True):
        if _is_bound(conn):
            for names in tables:
                # Binds the owner only under FORCE, which its own table's owner may lift; taken back at once.
                conn.execute(sql.SQL("alter table {} no force row level security").format(sql.Identifier(*names)))
        conn.execute("set local row_security = off")
        for names in tables:
            row = conn.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(*names))).fetchone()
            counts[names] = row[0] if row else 0
    return counts


def _is_bound(conn: "psycopg.Connection[Any]") -> bool:
    """Whether row-level security applies to the current user."""
    query = "select not (rolsuper or rolbypassrls) from pg_roles where rolname = current_user"
    return conn.execute(query).fetchone() == (True,)


def _save(
    conn: "psycopg.Connection[Any]",
    url: str,
    losses: Sequence[Loss],
    undone: Sequence[Migration],
    backups: Path,
    now: datetime,
    revision: str | None,
    folder: Path,
) -> Path:
    """Dump the tables of `losses`, prove the dump and write its manifest; returns its folder. Refuses otherwise."""
    major = conn.info.server_version // 10000
    tables = [(loss.schema, loss.table) for loss in losses]
    wanted = {_as_dumped(conn, loss): loss.rows for loss in losses}
    name = f"rollback-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{revision or 'base'}"
    try:
        with _new_folder(backups, name) as target:
            decoded = dump.dump_tables(url, tables, major, target, under_policies=_is_bound(conn))
            if decoded != wanted:
                raise dump.DumpError(f"the dump holds rows {decoded} where the tables hold {wanted}")
            dump.write_manifest(
                target,
                {
                    "id": target.name,
                    "made_at": now.astimezone(UTC).isoformat(),
                    "server_version": conn.info.parameter_status("server_version"),
                    "client_version": dump.client_version(major),
                    "schema_version": undone[0].revision,
                    "undone": [migration.name for migration in undone],
                    "migrations": {
                        migration.name: {"up_sha256": migration.up_sha256, "down_sha256": migration.down_sha256}
                        for migration in migrations(folder)
                        if migration.revision <= undone[0].revision
                    },
                    "tables": {str(loss): {"rows": loss.rows} for loss in losses},
                },
            )
            return target
    except (HotdashError, OSError) as error:
        raise RollbackRefused(f"the rows could not be dumped, so nothing was changed: {error}") from error


def _as_dumped(conn: "psycopg.Connection[Any]", loss: Loss) -> str:
    row = conn.execute("select quote_ident(%s) || '.' || quote_ident(%s)", (loss.schema, loss.table)).fetchone()
    return row[0] if row else str(loss)


@contextmanager
def _new_folder(backups: Path, name: str) -> "Iterator[Path]":
    """A private folder of its own below `backups`, removed again when the block fails."""
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    target, number = backups / name, 1
    while target.exists():
        number += 1
        target = backups / f"{name}-{number}"
    target.mkdir(mode=0o700)
    try:
        yield target
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
