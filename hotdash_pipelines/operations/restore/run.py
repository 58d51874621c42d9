"""A backup becomes the database again, proven before anything of the present one is touched.

Belongs here: the order of the steps, what is refused, what a restore tells. Does not belong here: the steps
(fill.py, proof.py, swap.py), tests of backups (check.py), asking the user (cli).

Everything happens in a new database. Until the last step the present one is only read; that step gives it another name
and the new one its own, in one transaction. A kill leaves a marked database that the next restore drops.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.errors import SafetyRefusal
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.backup.catalog import schemas
from hotdash_pipelines.operations.backup.files import BackupManifest, newest, read_manifest
from hotdash_pipelines.operations.backup.kinds import OPERATIONAL
from hotdash_pipelines.operations.backup.verify import verify_quick
from hotdash_pipelines.operations.erasure.run import kept_beside, listed, reapply
from hotdash_pipelines.operations.records import insert_record
from hotdash_pipelines.operations.restore import fill, load, roles, swap
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.operations.restore.present import Present, has, look
from hotdash_pipelines.operations.restore.proof import is_bound, prove
from hotdash_pipelines.storage import Store
from hotdash_pipelines.warehouse.postgres import connect, describe, libpq_env
from hotdash_pipelines.warehouse.schema.migrate import migrate

if TYPE_CHECKING:
    import psycopg

LATEST = "latest"


class RestoreRefused(RestoreError, SafetyRefusal):
    """A restore would replace tables and was not told to; nothing was touched. One line, says what to do."""


@dataclass(frozen=True)
class Restored:
    """What a restore did, or with `is_done` False what it would do.

    `kept_as` is the database that holds the `replaced` tables that were there before. `sessions` are those that were
    ended, or would be. `carried` are the schemas that come from it. `untried` are the roles that the user may not
    become.
    """

    backup_id: str
    database: str
    is_done: bool
    tables: int
    rows: int
    kept_as: str | None
    replaced: int
    sessions: int
    carried: list[str]
    roles_made: list[str]
    migrated: list[str] = field(default_factory=list)
    erased_again: int = 0
    untried: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Work:
    """What every step needs: the target and what is put into it."""

    url: str
    server: str
    manifest: BackupManifest
    present: Present | None
    carries: bool
    store: Store
    tell: Callable[[str], None]


def restore(
    database_url: str,
    store: Store,
    backup_id: str,
    *,
    replace: bool,
    scratch: Path,
    key: str | None = None,
    dry_run: bool = False,
    without_the_rest: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> Restored:
    """Restore a backup (or the newest valid one: LATEST) into the database of the URL.

    An operational backup holds a few schemas; the others come over from the present database, unless
    `without_the_rest`. Erasures that the present database or the records beside the backups know, and the backup does
    not, are done again. `scratch` gets a folder with the compressed dump for as long as it takes. Raises
    RestoreRefused, RestoreError or BackupError; the database is then as it was.
    """
    tell = on_progress or (lambda _: None)
    database = libpq_env(database_url)["PGDATABASE"]
    server = swap.server_url(database_url)
    with (
        load.one_line_errors(),
        connect(server, autocommit=True) as admin,
        swap.alone(admin, database),
    ):
        chosen = newest(store, key) if backup_id == LATEST else backup_id
        manifest = read_manifest(store, chosen, key)
        present = look(admin, database_url, database)
        if present and present.tables and not replace:
            raise RestoreRefused(
                f"{describe(database_url)} holds {len(present.tables)} tables: pass --replace to put the backup in "
                "their place (they are kept in another database)"
            )
        fill.check(admin, manifest, describe(server))
        carries = bool(not manifest.kind.is_whole and present and present.tables and not without_the_rest)
        work = _Work(database_url, server, manifest, present, carries, store, tell)
        plan = Restored(
            backup_id=chosen,
            database=database,
            is_done=False,
            tables=len(manifest.tables),
            rows=manifest.rows,
            kept_as=swap.free_name(admin, swap.named(database, "before", chosen)) if present else None,
            replaced=len(present.tables) if present else 0,
            sessions=len(swap.sessions(admin, database)),
            carried=present.others(OPERATIONAL) if present and carries else [],
            roles_made=roles.missing(admin, manifest.roles),
        )
        if dry_run:
            verify_quick(store, chosen, key, on_progress)
            return plan
        return _done(admin, work, plan, scratch)


def _done(admin: "psycopg.Connection[Any]", work: _Work, plan: Restored, scratch: Path) -> Restored:
    """Every step from the fetched dump to the swap."""
    database, manifest, present = plan.database, work.manifest, work.present
    is_fresh = present is None or not present.tables
    facts = manifest.database if present is None else present.facts
    with fill.fetched(work.store, manifest, scratch, work.tell) as dump:
        made = roles.make(admin, manifest.roles)
        owner = manifest.database["owner"] if present is None or present.owner is None else present.owner
        with fill.filled(admin, work.url, "restore", manifest, dump, facts, owner, work.tell) as new_url:
            if not work.carries:
                with connect(new_url, autocommit=True) as conn:
                    roles.make_schemas(conn, None if owner == admin.info.user else owner)
            migrated = migrate(new_url)
            reach("restore.checked")
            holder, carried = _carry(work, new_url)
            try:
                with connect(new_url, autocommit=True) as conn:
                    erased = _keep_what_came_later(conn, work)
                    work.tell("proving row-level security, grants, triggers and sequences; one read per role")
                    untried = prove(conn)
                    reach("restore.proven")
                    conn.execute("analyze")
                    settings = present.settings if present and not is_fresh else _settings_of(manifest)
                    roles.apply_facts(conn, manifest.database if is_fresh else facts, settings)
                new = libpq_env(new_url)["PGDATABASE"]
                work.tell(f"renaming {new} to {database}")
                comment = (manifest.database if is_fresh else facts)["comment"]
                ended = swap.swap(work.server, database, new, plan.kept_as, holder, comment)
            finally:
                if holder is not None:
                    holder.close()
    return replace(
        plan, is_done=True, sessions=ended, carried=carried, roles_made=made, migrated=migrated,
        erased_again=erased, untried=untried,
    )  # fmt: skip


def _settings_of(manifest: BackupManifest) -> list[tuple[str | None, list[str]]]:
    return [(entry["role"], entry["set"]) for entry in manifest.database["settings"]]


def _carry(work: _Work, new_url: str) -> "tuple[psycopg.Connection[Any] | None, list[str]]":
    """Bring the other schemas over; the connection that keeps writers off them, and off the records, until the swap."""
    if work.present is None:
        return None, []
    with connect(new_url, autocommit=True) as conn:
        there, bound = schemas(conn), is_bound(conn)
        server_major = conn.info.server_version // 10000
    without = [name for name in there if name != "public"]
    carried = work.present.others(without) if work.carries else []
    holder = swap.hold(work.url, work.present.to_hold(without if work.carries else work.present.schemas))
    try:
        if work.carries:
            work.tell(f"carrying over {', '.join(carried) or 'no other schema'}")
            load.carry_over(work.url, new_url, server_major, without, under_policies=bound)
            reach("restore.carried")
    except BaseException:
        holder.close()
        raise
    return holder, carried


def _keep_what_came_later(conn: "psycopg.Connection[Any]", work: _Work) -> int:
    """Do erasures again that the backup does not know, keep the records of backups; returns how many erasures.

    Without the loaded tables their bookkeeping goes too, else nothing would ever load them again.
    """
    known = {entry.erasure_id for entry in listed(conn)}
    late = {entry.erasure_id: entry for entry in kept_beside(work.store)}
    if work.present and work.present.tables:
        with connect(work.url) as old:
            if has(old, "ops.erasures"):
                late |= {entry.erasure_id: entry for entry in listed(old)}
            runs = []
            if has(old, "ops.backup_runs"):
                runs = old.execute("select to_jsonb(r) from ops.backup_runs r").fetchall()
        with conn.transaction():
            for (run,) in runs:
                insert_record(
                    conn,
                    "ops.backup_runs",
                    run,
                    "on conflict (backup_id) do update set restore_tested_at = excluded.restore_tested_at, "
                    "pruned_at = excluded.pruned_at",
                )
    again = [entry for number, entry in sorted(late.items()) if number not in known]
    if again:
        work.tell(f"erasing again what {len(again)} erasures since the backup took")
        reapply(conn, again)
    if not work.manifest.kind.is_whole and not work.carries:
        conn.execute("delete from ops.lake_loads")
    return len(again)
