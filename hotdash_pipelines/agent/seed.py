"""A first, small filling of the support agent's tables, so that every view and queue has something to show.

Belongs here: turning seed.yaml into rows around the present instant, writing them once. Does not belong here:
activity at scale (agent_activity), facts, events and logs: what is written there can never be taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.agent.rows import count_marked, insert, one_writer

if TYPE_CHECKING:
    import psycopg

SEEDED = ("agent_approvals", "agent_feedback", "agent_queries")
_FILE = Path(__file__).with_name("seed.yaml")
# The numbers of seeded conversations begin with this, which no number of Chatwoot's does.
_PREFIX = "seed-"


@dataclass(frozen=True)
class Seeded:
    """`rows` by table as written, or as they would be; `there` counts earlier marked rows, which end the call."""

    rows: dict[str, int]
    there: int

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def seed(conn: "psycopg.Connection[Any]", now: datetime, *, dry_run: bool = False) -> Seeded:
    """Write the seed in one transaction, its instants counted back from `now`; nothing if a seed is there already.

    Rows of the demo's activity do not count as a seed. Raises AgentDataError.
    """
    rows = seed_rows(now)
    with one_writer(conn):
        there = sum(count_marked(conn, SEEDED, "seed").values())
        if there:
            return Seeded(dict.fromkeys(SEEDED, 0), there)
        if dry_run:
            return Seeded({table: len(rows[table]) for table in SEEDED}, 0)
        return Seeded({table: insert(conn, table, rows[table], "seed") for table in SEEDED}, 0)


def seed_rows(now: datetime) -> dict[str, list[dict[str, Any]]]:
    """The rows by table, each with its created_at and updated_at in ISO 8601."""
    import yaml

    given = yaml.safe_load(_FILE.read_text())
    make = {"agent_approvals": _approval, "agent_feedback": _feedback, "agent_queries": _query}
    return {
        table: [
            {**make[table](row), "conversation_id": f"{_PREFIX}{table}-{number:02}", **_instants(row, now)}
            for number, row in enumerate(given[table], start=1)
        ]
        for table in SEEDED
    }


def _instants(row: Mapping[str, Any], now: datetime) -> dict[str, str]:
    created = now - timedelta(minutes=row["minutes_ago"])
    updated = created + timedelta(minutes=row.get("took", 0))
    return {"created_at": created.isoformat(), "updated_at": updated.isoformat()}


def _approval(row: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {"amount": row["amount"], "currency": "USD"} if "amount" in row else {}
    call = {"tool": row["tool"], "arguments": arguments, "reason": row["reason"]}
    return {
        "serialized": {"agent": row["agent"], "draft": row["draft"], "next": call},
        "last_interruptions": [call],
        "approved_by": row.get("approved_by"),
        "status": row["status"],
    }


def _feedback(row: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: row.get(name) for name in ("safe_to_send", "annotator", "notes")}
    texts = {name: row[name] for name in ("input_text", "model_draft", "labels", "rubric")}
    return {**texts, **said, "meta": {}}


def _query(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query": row["query"],
        "result": {"tool": row["tool"], "found": row.get("approved") is not False},
        "agent": row["agent"],
        "approved": row.get("approved"),
        "human_edited": row.get("human_edited", False),
        "latency_ms": row["latency_ms"],
    }
