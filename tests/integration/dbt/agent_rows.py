"""Hand-made rows of the support agent for the dbt tests.

Belongs here: writing into schema `agent` as the agent and its reviewers do. Does not belong here: dbt, figures.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.integration.dbt.raw import NOON, RawShop

AGENT_MARTS = (
    "marts_agent.dim_agent",
    "marts_agent.dim_user",
    "marts_agent.fct_agent_query",
    "marts_agent.fct_approval",
    "marts_agent.fct_decision_event",
    "marts_agent.fct_training",
    "marts_support.dim_conversation",
    "metrics.agg_agent_daily_performance",
)
SOURCES = (
    "agent_approvals",
    "agent_feedback",
    "agent_queries",
    "decision_sync_event_logs",
    "facts",
    "support_curated_replies",
)


@dataclass
class AgentRows:
    """Schema `agent` of a test's own database. Texts are planted, so that a test can look for them."""

    conn: psycopg.Connection[Any]
    text: str = "where is the parcel"
    login: str = "ann"

    def query(self, at: datetime = NOON, **values: Any) -> int:
        """A question of the agent; undecided unless said."""
        return self._insert(
            "agent_queries",
            {
                "query": self.text,
                "result": Jsonb({"text": self.text}),
                "conversation_id": "40",
                "agent": "order_support",
            }
            | {"latency_ms": 40, "created_at": at, "updated_at": at, **values},
        )

    def approval(self, at: datetime = NOON, after: timedelta | None = None, **values: Any) -> int:
        """An approval; decided `after` so long, pending without it."""
        decided = {"status": "approved", "approved_by": self.login, "updated_at": at + after} if after else {}
        return self._insert(
            "agent_approvals",
            {"conversation_id": "40", "serialized": Jsonb({"text": self.text}), "created_at": at, "updated_at": at}
            | {"last_interruptions": Jsonb([{"tool": "send_reply"}]), **decided, **values},
        )

    def feedback(self, at: datetime = NOON, **values: Any) -> int:
        """A draft; nobody has looked unless said."""
        return self._insert(
            "agent_feedback",
            {"conversation_id": "40", "input_text": self.text, "model_draft": self.text, "notes": self.text}
            | {"created_at": at, "updated_at": at, **values},
        )

    def decision_event(self, at: datetime = NOON, **values: Any) -> int:
        """An attempt to pass a decision on."""
        return self._insert(
            "decision_sync_event_logs",
            {
                "decision_id": "d-1",
                "scope": "support",
                "status": "synced",
                "duration_ms": 12,
                "created_at": at,
                **values,
            },
        )

    def others(self, at: datetime = NOON) -> None:
        """A fact and a curated reply."""
        self._insert(
            "facts",
            {"project": "north", "topic": "shipping", "key": "days", "value": Jsonb(self.text), "created_at": at},
        )
        self._insert(
            "support_curated_replies",
            {"conversation_id": "40", "source_message_id": f"m-{at:%s}", "message_body": self.text}
            | {"approver": "carla", "approved_at": at, "created_at": at, "updated_at": at},
        )

    def first_night(self) -> None:
        """Two agents, three persons, each verdict, and a conversation that only the agent knows."""
        self.query()
        self.query(approved=True, latency_ms=120, agent="returns")
        self.query(approved=False, human_edited=True, latency_ms=None, conversation_id="agent-7")
        self.approval()
        self.approval(after=timedelta(minutes=3))
        self.approval(after=timedelta(minutes=9), status="rejected")
        self.approval(after=timedelta(hours=1), status="expired", approved_by=None)
        self.feedback()
        rubric = Jsonb({"clarity": 4, "accuracy": 5, "tone": 3})
        self.feedback(safe_to_send=True, annotator="bert", labels=["refund", "tone"], rubric=rubric)
        self.decision_event()
        self.decision_event(attempt=2, error=self.text, status="failed")
        self.others()

    def purge(self, before: datetime) -> None:
        """Delete what is older, as retention does; the audit tables let nobody else."""
        for table in SOURCES:
            name = sql.Identifier("agent", table)
            self.conn.execute(sql.SQL("alter table {} disable trigger user").format(name))
            self.conn.execute(sql.SQL("delete from {} where created_at < %s").format(name), (before,))
            self.conn.execute(sql.SQL("alter table {} enable trigger user").format(name))

    def _insert(self, table: str, row: dict[str, Any]) -> int:
        statement = sql.SQL("insert into {} ({}) values ({}) returning id").format(
            sql.Identifier("agent", table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Placeholder, row)),
        )
        return self.conn.execute(statement, row).fetchone()[0]  # type: ignore[index]


def agent_in(raw: RawShop) -> AgentRows:
    """The agent in the database of the raw shop, which knows conversation 40."""
    raw.put(
        "raw_chatwoot.conversations", conversation_id=40, channel="Channel::Email", status="open", labels=["refund"]
    )
    raw.put("raw_chatwoot.agents", agent_id=3, name="Ann", email="ann@example.com")
    return AgentRows(raw.conn)
