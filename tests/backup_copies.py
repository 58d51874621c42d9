"""Backups for tests that need files only: whole by every look at them, but no dump inside.

Belongs here: making them in any store. Does not belong here: real backups
(operations.backup).
"""

import hashlib
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hotdash_pipelines.operations.backup.files import (
    DATA,
    MANIFEST,
    BackupFigures,
    BackupManifest,
    FileFacts,
    manifest_bytes,
    path_of,
)
from hotdash_pipelines.operations.backup.kinds import Scope
from hotdash_pipelines.storage import Store

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)


def add_copy(store: Store, day: int, *, scope: Scope = "operational", key: str | None = None, size: int = 500) -> str:
    """Put the backup of the `day`th day into the store; returns its id."""
    at = FIRST + timedelta(days=day)
    data = random.Random(day).randbytes(size)
    manifest = BackupManifest(
        id=f"{at:%Y%m%dT%H%M%SZ}-{day:08x}",
        scope=scope,
        started_at=at,
        finished_at=at + timedelta(seconds=2),
        server_version=180004,
        client_version="pg_dump (PostgreSQL) 18.4",
        schema_version="0008",
        migrations={"0008_operations": {"up": "a" * 64, "down": "b" * 64}},
        tables={"agent.facts": BackupFigures(day, str(day * 7), 1, day)},
        files={DATA: FileFacts(size, hashlib.sha256(data).hexdigest())},
        roles={"anon": {"attributes": {"login": False}, "member_of": []}},
        database={"encoding": "UTF8"},
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, content in ((DATA, data), (MANIFEST, manifest_bytes(manifest, key))):
            local = Path(folder, name)
            local.write_bytes(content)
            store.add(path_of(store, manifest.id, name), local)
    return manifest.id
