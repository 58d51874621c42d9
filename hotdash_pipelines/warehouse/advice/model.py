"""What performance advice is made of: findings, limits, and the tables and indexes that were looked at.

Belongs here: plain values. Does not belong here: queries (the other advice_* modules).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

Severity = Literal["warning", "critical"]


@dataclass(frozen=True)
class Limits:
    """From which point on something is told. Milliseconds, rows, days and counts as the names say."""

    slow_ms: float = 50
    critical_ms: float = 200
    calls_a_day: float = 5
    statistics_days: float = 7
    big_table_rows: int = 10_000
    # Below this the planner reads the whole table whatever indexes there are.
    indexed_table_rows: int = 1_000
    table_reads: int = 100
    full_reads_a_day: float = 200
    dead_rows_share: float = 0.2


@dataclass(frozen=True)
class AdviceFinding:
    """One thing to mend. `id` stays the same for the same cause; `ddl` is ready to run, None where none helps."""

    kind: str
    id: str
    severity: Severity
    object: str
    measured: str
    remedy: str
    ddl: str | None = None


@dataclass(frozen=True)
class AdviceReport:
    """What was found, and in `notes` what could not be looked at or judged. `statistics_since` is None when unknown."""

    server: str
    statistics_since: datetime | None
    tables: int
    findings: Sequence[AdviceFinding]
    notes: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        since = self.statistics_since
        return {**asdict(self), "ok": not self.findings, "statistics_since": since.isoformat() if since else None}


@dataclass(frozen=True)
class Index:
    """One index. `keys` are columns or expressions as SQL writes them; `columns` their numbers, 0 for an expression.

    The first `key_count` of both are searched by; the rest are included. `sql` is the qualified name, quoted.
    """

    oid: int
    table_oid: int
    schema: str
    name: str
    sql: str
    method: str
    keys: tuple[str, ...]
    columns: tuple[int, ...]
    key_count: int
    opclasses: tuple[int, ...]
    collations: tuple[int, ...]
    directions: tuple[int, ...]
    predicate: str | None
    options: tuple[str, ...]
    is_unique: bool
    # A primary key, a constraint, the replica identity, the order of CLUSTER, or a part of a partitioned index.
    is_bound: bool
    is_valid: bool
    is_kept: bool
    scans: int
    size: int

    @property
    def qualified(self) -> str:
        """`schema.name`, for reading."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class AdviceTable:
    """One table or materialised view with its statistics; `rows` is the larger of the server's two estimates.

    `sql` is the qualified name, quoted where it must be.
    """

    oid: int
    schema: str
    name: str
    sql: str
    kind: Literal["r", "m", "p"]
    rows: int
    size: int
    dead_rows: int
    is_analysed: bool
    is_autovacuumed: bool
    seq_scans: int
    seq_rows: int
    index_scans: int
    has_row_security: bool
    indexes: list[Index] = field(default_factory=list)

    @property
    def qualified(self) -> str:
        """`schema.name`, for reading."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Need:
    """Columns that something searches a table by: an index has to lead with all of them, or with one when `any_one`.

    A column is its number and its name as SQL writes it.
    """

    table: AdviceTable
    columns: tuple[tuple[int, str], ...]
    reason: str
    any_one: bool = False


@dataclass(frozen=True)
class MissingIndex:
    """An index that a need calls for. `ddl` is None for a partitioned table, where none can be built concurrently."""

    table: AdviceTable
    name: str
    columns: tuple[str, ...]
    reasons: tuple[str, ...]
    ddl: str | None
