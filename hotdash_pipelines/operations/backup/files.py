"""Backups as files: `<id>/data.dump.zst`, and beside it `manifest.json`, which is written last and makes it a backup.

Belongs here: names, the manifest and its signature, listing, what makes a backup valid at a glance. Does not belong
here: making one (run.py), reading the data (verify.py).
"""

import dataclasses
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.kinds import KINDS, BackupKind, Scope
from hotdash_pipelines.storage import Store
from hotdash_pipelines.storage.sealed import DamagedManifest, Seal, leads_elsewhere, pretty

DATA = "data.dump.zst"
MANIFEST = "manifest.json"
# What one manifest may hold: longer files are not read into memory.
_LONGEST_MANIFEST = 16 << 20
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_SEAL = Seal("sha256", "hmac", signed=pretty, digested=lambda body, _: pretty(body))


@dataclass(frozen=True)
class BackupFigures:
    """What a table holds: rows, an order-free hash of them, and the ends of its single integer key, if it has one."""

    rows: int
    hash: str
    min_id: int | None = None
    max_id: int | None = None


@dataclass(frozen=True)
class FileFacts:
    """Size and digest of a file of the backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class BackupManifest:
    """What a backup holds, and what a server needs before it can take it back.

    `started_at`: rows committed before it are in the backup. `migrations`: name -> {"up", "down"} sha256. `tables`:
    by `schema.table`, partitions one by one, stored views left out. `roles`: name -> {"attributes": {...},
    "member_of": [{"role", "admin", "inherit", "set"}]}, without passwords. `database`: encoding, locale, owner,
    rights, settings, comment.
    """

    id: str
    scope: Scope
    started_at: datetime
    finished_at: datetime
    server_version: int
    client_version: str
    schema_version: str
    migrations: Mapping[str, Mapping[str, str]]
    tables: Mapping[str, BackupFigures]
    files: Mapping[str, FileFacts]
    roles: Mapping[str, Mapping[str, Any]]
    database: Mapping[str, Any]

    @property
    def kind(self) -> BackupKind:
        """What its scope stands for."""
        return KINDS[self.scope]

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(table.rows for table in self.tables.values())

    @property
    def bytes(self) -> int:
        """Size of the backup without its manifest."""
        return sum(file.bytes for file in self.files.values())

    @property
    def client_major(self) -> int:
        """Major version of the pg_dump that wrote the data; an older pg_restore may not read it."""
        return int(re.search(r"\)\s+(\d+)", self.client_version)[1])  # type: ignore[index] - checked by _parsed


@dataclass(frozen=True)
class ListedBackup:
    """A folder of the store that is named like a backup.

    `valid`: the manifest is whole and the files have their sizes. `broken`: they are not; `reason` says why.
    `unfinished`: without a manifest, so no backup: one is being made, or was cut short.
    """

    id: str
    state: Literal["valid", "broken", "unfinished"]
    location: str
    manifest: BackupManifest | None = None
    reason: str | None = None


def new_id(now: datetime) -> str:
    """A name for a backup that starts now; names sort by time."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def is_id(text: str) -> bool:
    """Whether the text is the name of a backup."""
    return _ID.fullmatch(text) is not None


def started(backup_id: str) -> datetime:
    """When the backup of that name was begun, to the second."""
    return datetime.strptime(backup_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def path_of(store: Store, backup_id: str, name: str) -> str:
    """Path of a file of a backup in its store. Raises BackupError for a name that is none, or that leads elsewhere."""
    if not is_id(backup_id):
        raise BackupError("that is no backup's id: `hotdash backup list` shows them")
    if leads_elsewhere(store, backup_id):
        raise BackupError(f"{store.uri(backup_id)} leads out of the folder of the backups: remove that link")
    return f"{backup_id}/{name}"


def list_backups(store: Store, key: str | None = None) -> list[ListedBackup]:
    """Every folder named like a backup, the newest first, each looked at by manifest and sizes.

    Folders of anything else are passed over. Raises StoreError when the store cannot be read.
    """
    names = [name for name in store.folders() if is_id(name)]
    return [_look(store, name, key) for name in sorted(names, reverse=True)]


def _look(store: Store, backup_id: str, key: str | None) -> ListedBackup:
    location = store.uri(backup_id)
    if not store.exists(path_of(store, backup_id, MANIFEST)):
        return ListedBackup(backup_id, "unfinished", location)
    try:
        manifest = read_manifest(store, backup_id, key)
        check_sizes(store, manifest)
    except BackupError as error:
        return ListedBackup(backup_id, "broken", location, reason=str(error))
    return ListedBackup(backup_id, "valid", location, manifest)


def newest(store: Store, key: str | None = None) -> str:
    """Id of the newest valid backup. Raises BackupError when there is none."""
    for backup in list_backups(store, key):
        if backup.state == "valid":
            return backup.id
    raise BackupError(f"{store.uri('')} holds no valid backup: make one with `hotdash backup create`")


def read_manifest(store: Store, backup_id: str, key: str | None = None) -> BackupManifest:
    """The manifest of a backup, checked against its own digest, and against its signature when there is a `key`.

    Raises BackupError when it is missing, damaged, that of another backup, or not signed with the key.
    """
    path = path_of(store, backup_id, MANIFEST)
    try:
        if store.size(path) > _LONGEST_MANIFEST:
            raise BackupError(f"the manifest of {backup_id} is damaged (too long): use another backup")
        return parse_manifest(store.read(path), backup_id, key)
    except FileNotFoundError as error:
        raise BackupError(
            f"there is no backup {backup_id} at {store.uri('')}: `hotdash backup list` shows them"
        ) from error


def parse_manifest(content: bytes, backup_id: str, key: str | None) -> BackupManifest:
    """The same for the bytes of a manifest that are at hand already."""
    try:
        manifest, _, doubt = _SEAL.open(content, _parsed, key)
    except DamagedManifest as error:
        raise BackupError(f"the manifest of {backup_id} is damaged ({error}): use another backup") from error
    if manifest.id != backup_id:
        raise BackupError(f"the manifest of {backup_id} is that of {manifest.id}: put each back where it belongs")
    if doubt:
        raise BackupError(
            f"the manifest of {backup_id} is {doubt}: it was changed, or made before HOTDASH_MANIFEST_KEY was set"
        )
    return manifest


def manifest_bytes(manifest: BackupManifest, key: str | None = None) -> bytes:
    """The manifest as its file, with its digest and, when there is a `key`, its HMAC-SHA256."""
    plain = dataclasses.asdict(manifest)
    plain |= {name: plain[name].isoformat() for name in ("started_at", "finished_at")}
    return _SEAL.close(plain, _SEAL.sign(plain, key))


def run_record(manifest: BackupManifest, store: Store) -> dict[str, Any]:
    """The row of ops.backup_runs for a backup that was read back whole."""
    return {
        "backup_id": manifest.id,
        "scope": manifest.scope,
        "state": "verified",
        "location": store.uri(manifest.id),
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "bytes": manifest.bytes,
        "row_count": manifest.rows,
    }


def check_sizes(store: Store, manifest: BackupManifest) -> None:
    """Raise BackupError unless every file of the backup is there in its full size."""
    for name, facts in manifest.files.items():
        try:
            size = store.size(path_of(store, manifest.id, name))
        except FileNotFoundError as error:
            raise BackupError(f"{name} of {manifest.id} is missing: use another backup") from error
        if size != facts.bytes:
            raise BackupError(
                f"{name} of {manifest.id} has {size:,} bytes instead of {facts.bytes:,}: use another backup"
            )


def _parsed(body: dict[str, Any]) -> BackupManifest:
    manifest = BackupManifest(
        **{
            **body,
            "started_at": datetime.fromisoformat(body["started_at"]),
            "finished_at": datetime.fromisoformat(body["finished_at"]),
            "tables": {name: BackupFigures(**figures) for name, figures in body["tables"].items()},
            "files": {name: FileFacts(**facts) for name, facts in body["files"].items()},
        }
    )
    # A name of a file becomes a path.
    if set(manifest.files) != {DATA} or manifest.scope not in KINDS or not is_id(manifest.id):
        raise ValueError("not the manifest of a backup")
    _ = manifest.client_major
    return manifest
