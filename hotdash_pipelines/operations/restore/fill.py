"""From a backup in its store to a new database that holds exactly that, as restores and tests of backups need it.

Belongs here: the local copy of the dump, creating, loading and comparing; dropping what did not come right.
Does not belong here: pipes (load.py), what happens with the database then (run.py, check.py).
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.backup.catalog import differences, figures, pin, tables_of
from hotdash_pipelines.operations.backup.files import DATA, BackupError, BackupManifest, path_of
from hotdash_pipelines.operations.restore import load, roles, swap
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.operations.restore.proof import every_row, is_bound
from hotdash_pipelines.storage import Store
from hotdash_pipelines.storage.scratch import scratch_folder
from hotdash_pipelines.storage.sealed import sha256_of
from hotdash_pipelines.warehouse.migrations.files import migrations
from hotdash_pipelines.warehouse.postgres import connect, libpq_env, with_database

if TYPE_CHECKING:
    import psycopg

Progress = Callable[[str], None]


def check(admin: "psycopg.Connection[Any]", manifest: BackupManifest, where: str) -> None:
    """Raise RestoreError when the server or this version cannot take the backup."""
    if not manifest.kind.is_standing:
        raise RestoreError(
            f"{manifest.id} holds single tables, no database: choose another one of `hotdash backup list`"
        )
    made_by, server = manifest.server_version // 10000, admin.info.server_version // 10000
    if made_by > server:
        raise RestoreError(
            f"{manifest.id} was made on Postgres {made_by} and {where} is {server}: restore into {made_by} or newer"
        )
    known = {migration.name for migration in migrations()}
    unknown = sorted(set(manifest.migrations) - known)
    if unknown:
        raise RestoreError(
            f"{manifest.id} has migration {unknown[-1]}, which this version does not know: "
            "restore with the version that made it, or newer"
        )


@contextlib.contextmanager
def fetched(store: Store, manifest: BackupManifest, scratch: Path, tell: Progress) -> Iterator[Path]:
    """A private local copy of the dump, its digest held against the manifest; removed afterwards.

    Raises BackupError, StoreError.
    """
    with scratch_folder(scratch, f"restore-{manifest.id}-{secrets.token_hex(4)}") as folder:
        dump = folder / DATA
        tell(f"fetching {manifest.bytes / 1e6:,.1f} MB")
        store.fetch(path_of(store, manifest.id, DATA), dump)
        # The copy, not the store: what is verified is what is restored. Loading it decodes it to its end, and every
        # row is compared then, all in the new database: decoding it before as well cost a tenth of the restore.
        if sha256_of(dump) != manifest.files[DATA].sha256:
            raise BackupError(f"{DATA} of {manifest.id} is damaged (its sha256 differs): use another backup")
        reach("restore.verified")
        yield dump


@contextlib.contextmanager
def filled(
    admin: "psycopg.Connection[Any]",
    database_url: str,
    word: str,
    manifest: BackupManifest,
    dump: Path,
    facts: Mapping[str, Any],
    owner: str | None,
    tell: Progress,
) -> Iterator[str]:
    """URL of a new database `<database>_<word>_<id>` with the rows of the manifest; dropped when the block raises.

    Drops those of the same word that killed processes left. `facts` are those of the database to be like; `owner` is
    whom its objects belong to, None for the user.
    """
    user = admin.info.user
    owner = owner if owner and owner != user else None
    if owner:
        roles.check_owner(admin, owner)
    new, prefix = swap.scratch_names(libpq_env(database_url)["PGDATABASE"], word, manifest.id)
    load.sweep(admin, prefix)
    load.create_database(admin, new, facts, owner or user)
    reach("restore.created")
    url = with_database(database_url, new)
    try:
        tell(f"restoring {manifest.rows:,} rows of {len(manifest.tables)} tables into {new}")
        with connect(url, autocommit=True) as conn:
            bound = is_bound(conn)
            roles.join_service(conn)
        # A program of the version that wrote the dump reads it; an older one may not.
        tool_major = max(manifest.client_major, admin.info.server_version // 10000)
        load.load(dump, url, tool_major, role=owner, under_policies=bound)
        reach("restore.loaded")
        tell("comparing every table with the manifest")
        with connect(url, autocommit=True) as conn:
            compare(conn, manifest)
        yield url
    except BaseException:
        # Where even that fails the next restore drops it.
        with contextlib.suppress(Exception):
            load.drop_database(admin, new)
        raise


def compare(conn: "psycopg.Connection[Any]", manifest: BackupManifest) -> None:
    """Raise RestoreError with the first table whose rows are not those of the manifest."""
    with every_row(conn):
        pin(conn)
        held = figures(conn, tables_of(conn, "full"))
    for difference in differences(manifest.tables, held):
        raise RestoreError(f"after the restore {difference}: use another backup (`hotdash backup list`)")
