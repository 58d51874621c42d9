"""Tables as the catalog, pg_dump and manifests name them.

Belongs here: a table, and spelling its name. Does not belong here: reading the catalog (catalog.py).
"""

import re
from collections.abc import Sequence

from hotdash_pipelines.operations.backup.errors import BackupError

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
# A name in SQL's spelling.
SQL_PART = r'(?:"(?:[^"]|"")*"|[^".\s]+)'
_NAME = re.compile(rf"({SQL_PART})\.({SQL_PART})")


class CatalogTable:
    """A table of the database; `key` is the column of its single integer primary key."""

    def __init__(self, schema: str, name: str, is_parent: bool, key: str | None, family: Sequence[int], oid: int):
        self.schema, self.name, self.is_parent, self.key, self.oid = schema, name, is_parent, key, oid
        # The table itself and the partitions below it.
        self.family = frozenset(family or ()) | {oid}

    @property
    def label(self) -> str:
        """`schema.table`, as manifests name it."""
        return table_name(self.schema, self.name)


def table_name(schema: str, table: str) -> str:
    """`schema.table`; a part is in double quotes only where it is more than small letters, digits, `_` and `$`."""
    return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in (schema, table))


def split_name(name: str) -> tuple[str, str]:
    """Schema and table of a name in SQL's spelling. Raises BackupError for what is no such name."""
    match = _NAME.fullmatch(name)
    if not match:
        raise BackupError(f"{name} is not the name of a table, which has the form schema.table")
    schema, table = (part[1:-1].replace('""', '"') if part.startswith('"') else part for part in (match[1], match[2]))
    return schema, table
