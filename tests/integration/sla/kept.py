"""A simulated clock over the stored engine: ticks on a database, and what was told so far."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import psycopg

from hotdash_pipelines.sla import Definition, Observation
from hotdash_pipelines.sla.records.incidents import Impact
from hotdash_pipelines.sla.records.notice import Notice
from hotdash_pipelines.sla.records.store import Applied, apply_tick
from tests.unit.sla.story import STEP

Conn = psycopg.Connection[Any]


def tell(conn: Conn, notice: Notice, now: datetime) -> None:
    """Put a notice into the outbox, as a message would be."""
    event = notice.event
    key = f"violation:{notice.violation_id}:{event.kind}:{event.level}"
    if notice.violation_id is None:
        key = f"{event.sla}:{event.partition}:{event.kind}:{now.isoformat()}"
    conn.execute(
        """
        insert into ops.alert_outbox
            (dedupe_key, kind, severity, payload, created_at, next_attempt_at, violation_id, event_kind, event_level)
        values (%s, 'sla', %s, '{}', %s, %s, %s, %s, %s)
        """,
        (key, event.severity, now, now, notice.violation_id, event.kind, event.level),
    )


class Kept:
    """Ticks of `definitions` on a database; `notices` has everything told so far."""

    def __init__(
        self,
        conn: Conn,
        *definitions: Definition,
        upstream: Mapping[str, set[str]] | None = None,
        impact: Mapping[str, Impact] | None = None,
    ) -> None:
        self.conn, self.definitions = conn, definitions
        self.upstream, self.impact = upstream or {}, impact or {}
        self.notices: list[Notice] = []

    def tick(self, now: datetime, *observations: Observation, **more: Any) -> Applied:
        """One tick."""
        done = apply_tick(
            self.conn, self.definitions, observations, self.upstream, now, impact=self.impact, enqueue=tell, **more
        )
        self.notices += done.notices
        return done

    def run(self, start: datetime, values: Iterable[float | None], name: str = "waiting") -> datetime:
        """Ticks a STEP apart from `start`, one a value (None: could not be seen); the instant after the last."""
        for value in values:
            self.tick(start, Observation(name, value, unknown_reason="no answer" if value is None else None))
            start += STEP
        return start

    def told(self) -> list[str]:
        """The kinds that were told, in order."""
        return [notice.event.kind for notice in self.notices]

    def outbox(self) -> list[str]:
        """The kinds that stand in the outbox, in order."""
        return column(self.conn, "select event_kind from ops.alert_outbox order by id")


def column(conn: Conn, query: str, *values: Any) -> list[Any]:
    """The first column of a query."""
    return [row[0] for row in conn.execute(query.encode(), values).fetchall()]


def rows(conn: Conn, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return conn.execute(query.encode(), values).fetchall()
