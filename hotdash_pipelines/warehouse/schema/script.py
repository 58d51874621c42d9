"""What a migration or a rollback would run, as a script that psql takes.

Belongs here: the files in order, with the bookkeeping that stands around them. Does not belong here: running it
(migrate.py), what a rollback would cost (rollback.py).
"""

from collections.abc import Sequence
from pathlib import Path

from hotdash_pipelines.warehouse.migrations.files import VERSIONS, Migration, migrations
from hotdash_pipelines.warehouse.schema.migrate import BOOKKEEPING

_ALEMBIC_TABLE = """
create table if not exists ops.alembic_version (
    version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
);
"""


def upgrade_script(pending: Sequence[Migration], folder: Path = VERSIONS) -> str:
    """The SQL of `migrate`, one transaction a file; empty when nothing is pending."""
    if not pending:
        return ""
    before = _before(pending[0], folder)
    parts = [BOOKKEEPING.strip(), _ALEMBIC_TABLE.strip()]
    for migration in pending:
        name, up, down = migration.name, migration.up_sha256, migration.down_sha256
        parts += [
            f"-- {name}.sql",
            "begin;",
            (folder / f"{name}.sql").read_text().rstrip(),
            "insert into ops.schema_migrations (revision, name, up_sha256, down_sha256)\n"
            f"values ('{migration.revision}', '{name}', '{up}', '{down}');",
            _move(before, migration.revision),
            "commit;",
        ]
        before = migration.revision
    return "\n".join(parts) + "\n"


def downgrade_script(undone: Sequence[Migration], folder: Path = VERSIONS) -> str:
    """The SQL of `rollback`, all of it one transaction; empty when there is nothing to undo."""
    if not undone:
        return ""
    parts = ["begin;"]
    for migration in undone:
        parts += [
            f"-- {migration.name}.rollback.sql",
            (folder / f"{migration.name}.rollback.sql").read_text().rstrip(),
            f"delete from ops.schema_migrations where revision = '{migration.revision}';",  # noqa: S608 - a script
            _move(migration.revision, _before(migration, folder)),
        ]
    return "\n".join([*parts, "commit;"]) + "\n"


def _before(migration: Migration, folder: Path) -> str | None:

    earlier = [found.revision for found in migrations(folder) if found.revision < migration.revision]
    return max(earlier, default=None)


def _move(old: str | None, new: str | None) -> str:
    if old is None:
        return f"insert into ops.alembic_version (version_num) values ('{new}');"  # noqa: S608 - a script
    if new is None:
        return f"delete from ops.alembic_version where version_num = '{old}';"  # noqa: S608 - a script
    return f"update ops.alembic_version set version_num = '{new}' where version_num = '{old}';"  # noqa: S608 - a script
