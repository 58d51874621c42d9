"""How long the support agent's rows are kept, and which of them are too old now.

Belongs here: the rules, their cut-offs, the SQL conditions that follow, counting what would go. Nothing here changes a
row. Does not belong here: archiving and deleting (run.py), the backup that must stand behind (gate.py).
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal
from hotdash_pipelines.warehouse.access.roles import become
from hotdash_pipelines.warehouse.postgres import database_errors

if TYPE_CHECKING:
    import psycopg

SCHEMA = "agent"
ROLE = "hotdash_retention"
HISTORY = "agent_queries_history"
# Up to so many rows go in one transaction; more go in parts of CHUNK_ROWS.
WHOLE_ROWS = 100_000
CHUNK_ROWS = 50_000


class RetentionError(HotdashError):
    """Rows could not be archived and deleted; what was not committed is as it was. One line, says what to do."""


class RetentionRefused(RetentionError, SafetyRefusal):
    """Deleting would not be safe now; nothing was changed. One line, says what to do."""


@dataclass(frozen=True)
class RetentionRule:
    """How long the rows of one table of schema `agent` are kept.

    A row is too old when each column of `age` is earlier than the cut-off of `days`. Rows that meet the SQL condition
    `long_when` are kept `long_days`, those that meet `kept_when` for ever; a condition that is null is not met.
    `follows` names the table whose rows take the rows of the same `id` along (its versions); such a table is cleared
    by itself only of ids that the other table no longer has.
    """

    table: str
    days: int
    age: tuple[str, ...] = ("created_at",)
    long_days: int | None = None
    long_when: str | None = None
    kept_when: str | None = None
    key: str = "id"
    follows: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether age alone decides, by one column: then whole partitions may go."""
        return len(self.age) == 1 and not (self.long_when or self.kept_when or self.follows)


@dataclass(frozen=True)
class CutOffs:
    """Instants in UTC: rows strictly older than `normal` are too old, those of the exception when older than `long`."""

    normal: datetime
    long: datetime | None


@dataclass(frozen=True)
class Planned:
    """What a run would do to one table: `rows` go, the oldest of them is `oldest`."""

    rule: RetentionRule
    cut_offs: CutOffs
    rows: int
    oldest: datetime | None


@dataclass(frozen=True)
class RetentionPlan:
    """What a run at this instant would delete, table by table."""

    tables: tuple[Planned, ...]

    @property
    def rows(self) -> int:
        """How many rows would go."""
        return sum(planned.rows for planned in self.tables)


_QUERIES = RetentionRule("agent_queries", 60, long_days=180, long_when="latency_ms > 200")


def rules(
    *,
    retain_observability_logs_days: int | None = None,
    retain_decision_logs_days: int | None = None,
    retain_facts_days: int | None = None,
    retain_curated_replies_days: int | None = None,
) -> tuple[RetentionRule, ...]:
    """The rules in the order in which they run. The arguments are the settings of the same names; None keeps all."""
    optional = (
        ("observability_logs", retain_observability_logs_days, "created_at"),
        ("decision_sync_event_logs", retain_decision_logs_days, "created_at"),
        ("facts", retain_facts_days, "created_at"),
        ("support_curated_replies", retain_curated_replies_days, "approved_at"),
    )
    return (
        RetentionRule("agent_feedback", 30, long_days=180, long_when="safe_to_send = false"),
        # A row decided late is as young as its decision: deciding writes updated_at, and then the row is frozen.
        RetentionRule("agent_approvals", 90, age=("created_at", "updated_at"), kept_when="status = 'pending'"),
        _QUERIES,
        RetentionRule(
            HISTORY,
            _QUERIES.days,
            long_days=_QUERIES.long_days,
            long_when=_QUERIES.long_when,
            key="history_id",
            follows=_QUERIES.table,
        ),
        *(RetentionRule(table, days, age=(age,)) for table, days, age in optional if days is not None),
    )


def cut_offs(rule: RetentionRule, now: datetime) -> CutOffs:
    """The cut-offs of a rule at `now`: the midnight that began the day in UTC, less whole days of 24 hours.

    Every run of a day has the same ones, whatever the zone of the server. Raises ValueError for a `now` without zone.
    """
    if now.tzinfo is None:
        raise ValueError("now has no time zone")
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    long = None if rule.long_days is None else midnight - timedelta(days=rule.long_days)
    return CutOffs(midnight - timedelta(days=rule.days), long)


def too_old(rule: RetentionRule, at: CutOffs) -> str:
    """SQL condition of the rows of the rule's table that are too old."""
    return _gone_from(rule.follows, rule, at) if rule.follows else _aged(rule, at)


def follower_of(rule: RetentionRule) -> RetentionRule | None:
    """The rule of the table whose rows go along with those of `rule`."""
    return next((other for other in rules() if other.follows == rule.table), None)


def lock_of(rule: RetentionRule, what: Literal["run", "part"]) -> int:
    """Number of the advisory lock that a whole run over the rule's table holds, or each of its open transactions.

    Versions share the lock of the table that they follow.
    """
    name = f"hotdash retention {what} {rule.follows or rule.table}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def literal(instant: datetime) -> str:
    """An instant as SQL, the same in every time zone of a session."""
    return f"'{instant.astimezone(UTC).isoformat()}'::timestamptz"


def _aged(rule: RetentionRule, at: CutOffs) -> str:
    def older_than(instant: datetime) -> str:
        return " and ".join(f"{column} < {literal(instant)}" for column in rule.age)

    conditions = [older_than(at.normal)]
    if rule.kept_when:
        conditions.append(f"({rule.kept_when}) is not true")
    if rule.long_when and at.long:
        conditions.append(f"(({rule.long_when}) is not true or ({older_than(at.long)}))")
    return " and ".join(conditions)


def _gone_from(followed: str, rule: RetentionRule, at: CutOffs) -> str:
    """All versions of ids that are gone, when the last version is too old."""
    last = (
        f"select distinct on (version.id) version.* from {SCHEMA}.{rule.table} as version"  # noqa: S608 - from the rules
        f" where not exists (select from {SCHEMA}.{followed} as base where base.id = version.id)"
        f" order by version.id, version.valid_from desc, version.{rule.key} desc"
    )
    return f"id in (select id from ({last}) as last where {_aged(rule, at)})"  # noqa: S608 - from the rules


def plan(conn: "psycopg.Connection[Any]", among: Sequence[RetentionRule], now: datetime) -> RetentionPlan:
    """What a run at `now` would delete. Reads only. Raises RetentionError."""
    with as_retention(conn):
        conn.execute("set transaction read only")
        return RetentionPlan(tuple(_planned(conn, rule, among, now) for rule in among))


def _planned(
    conn: "psycopg.Connection[Any]", rule: RetentionRule, among: Sequence[RetentionRule], now: datetime
) -> Planned:
    at = cut_offs(rule, now)
    condition = too_old(rule, at)
    followed = next((other for other in among if other.table == rule.follows), None)
    if followed is not None:
        expired = f"select id from {SCHEMA}.{followed.table} where {too_old(followed, at)}"  # noqa: S608 - from the rules
        condition = f"({condition}) or id in ({expired})"
    statement = f"select count(*), min({rule.age[0]}) from {SCHEMA}.{rule.table} where {condition}"  # noqa: S608 - from the rules
    rows, oldest = conn.execute(statement.encode()).fetchone() or (0, None)
    return Planned(rule, at, rows, oldest)


@contextmanager
def as_retention(conn: "psycopg.Connection[Any]") -> Iterator[None]:
    """One transaction under the role of retention. Raises RetentionError for what an administrator has to mend."""
    with retention_errors(conn.info.user), conn.transaction():
        become(conn, ROLE)
        yield


def retention_errors(user: str, away: str | None = None) -> AbstractContextManager[None]:
    """Tell of what the server refuses as RetentionError; `user` is the connection's. See database_errors."""
    return database_errors(
        RetentionError,
        "the server ended it ({reason}): nothing of this part is deleted; run it again",
        missing="the support agent's tables or roles are missing ({reason}): run `hotdash db migrate`",
        forbidden=f"the server refuses ({{reason}}): let an administrator run `grant {ROLE}, service_role to {user}`",
        away=away,
    )
