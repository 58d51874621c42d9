"""The SQL files of the migrations: finding them, and running one inside Alembic's transaction.

Belongs here: what a revision file calls. Does not belong here: order, locks and bookkeeping (warehouse.schema.migrate).
"""

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSIONS = Path(__file__).parent / "versions"
_NAME = re.compile(r"^(?P<revision>\d{4})_[a-z0-9_]+\.sql$")


@dataclass(frozen=True)
class Migration:
    """One change of the schema: its number, its name, and the sha256 of both of its files."""

    revision: str
    name: str
    up_sha256: str
    down_sha256: str


def migrations(folder: Path = VERSIONS) -> tuple[Migration, ...]:
    """Every migration in order. Raises FileNotFoundError for a change without its way back."""
    every = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.match(path.name)
        if match:
            back = path.with_suffix(".rollback.sql")
            every.append(Migration(match["revision"], path.stem, _sha256(path), _sha256(back)))
    return tuple(every)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_up(connection: "Connection", script: str) -> None:
    """Run the SQL file beside revision file `script` and note its checksum, in the transaction that Alembic opened."""
    migration = _of(script)
    _run(connection, Path(script).with_suffix(".sql").read_text())
    _run(
        connection,
        "insert into ops.schema_migrations (revision, name, up_sha256, down_sha256) values (%s, %s, %s, %s)",
        (migration.revision, migration.name, migration.up_sha256, migration.down_sha256),
    )


def run_down(connection: "Connection", script: str) -> None:
    """Run the rollback file beside revision file `script` and forget its checksum."""
    _run(connection, Path(script).with_suffix(".rollback.sql").read_text())
    _run(connection, "delete from ops.schema_migrations where revision = %s", (_of(script).revision,))


def _of(script: str) -> Migration:
    path = Path(script)
    return next(migration for migration in migrations(path.parent) if migration.name == path.stem)


def _run(connection: "Connection", statements: str, parameters: tuple[str, ...] | None = None) -> None:
    # The driver's own cursor takes a whole file as it is; SQLAlchemy would read its % and : as parameters.
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.execute(statements, parameters)
