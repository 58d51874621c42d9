"""The kinds of backups, called scopes: what each holds, and what it stands for.

Belongs here: one record a kind. Does not belong here: making a backup (run.py), the SLA on backups, whose statement
names the standing kinds itself (a test holds it against these).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.tables import CatalogTable

Scope = Literal["operational", "full", "tables"]
# Everything the support agent and the pipeline's bookkeeping write; the rest can be loaded and built again.
OPERATIONAL = ("agent", "app", "monitoring", "monitoring_private", "ops")


@dataclass(frozen=True)
class BackupKind:
    """One scope.

    `is_standing`: it stands for the database of its day, so pruning keeps it, retention deletes behind it, and it can
    be restored. `is_whole`: no schema is left out; the others of a standing one come from elsewhere after a restore.
    `tables` chooses among all by the caller's patterns, `options` are pg_dump's for them and the schemas left out.
    """

    name: Scope
    is_standing: bool
    is_whole: bool
    tables: Callable[[Sequence[CatalogTable], Sequence[str]], list[CatalogTable]]
    options: Callable[[Sequence[CatalogTable], Sequence[str]], list[str]]


def registered(*kinds: BackupKind) -> Mapping[str, BackupKind]:
    """Kinds by name. Raises ValueError for a name that is taken, and for half a kind."""
    by_name: dict[str, BackupKind] = {}
    for kind in kinds:
        if not (kind.name and callable(kind.tables) and callable(kind.options)):
            raise ValueError(f"backup kind {kind.name!r} lacks a part: give name, tables and options")
        if by_name.setdefault(kind.name, kind) is not kind:
            raise ValueError(f"backup kind {kind.name!r} stands there twice")
    return by_name


def _matching(every: Sequence[CatalogTable], patterns: Sequence[str]) -> list[CatalogTable]:
    if not patterns:
        raise BackupError("which tables? Name some, such as agent_*")
    wanted: set[int] = set()
    for pattern in patterns:
        met = [table for table in every if _matches(table, pattern)]
        if not met:
            raise BackupError(f"no table is called {pattern}: patterns are like agent_*, or ops.*, in quotes")
        wanted |= {oid for table in met for oid in table.family}
    return [table for table in every if table.oid in wanted]


def _matches(table: CatalogTable, pattern: str) -> bool:
    if "." in pattern:
        return fnmatchcase(f"{table.schema}.{table.name}", pattern)
    return table.schema in OPERATIONAL and fnmatchcase(table.name, pattern)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


KINDS = registered(
    BackupKind(
        "operational",
        is_standing=True,
        is_whole=False,
        tables=lambda every, _: [table for table in every if table.schema in OPERATIONAL],
        # The other schemas are left out by name: a dump that names its own would lose what belongs to no schema, such
        # as the default rights of functions.
        options=lambda _, left_out: [
            "-B", "--no-publications", *(f"--exclude-schema={_quoted(name)}" for name in left_out),
        ],
    ),
    BackupKind(
        "full", is_standing=True, is_whole=True, tables=lambda every, _: list(every), options=lambda *_: []
    ),
    BackupKind(
        "tables",
        is_standing=False,
        is_whole=False,
        tables=_matching,
        options=lambda tables, _: [f"--table={_quoted(table.schema)}.{_quoted(table.name)}" for table in tables],
    ),
)  # fmt: skip
STANDING = tuple(kind.name for kind in KINDS.values() if kind.is_standing)
