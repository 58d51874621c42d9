"""The support agent of the store: what it asked, proposed, logged and was told on a day.

Belongs here: a day of activity, derived from the conversations that began on that day. Does not belong here: the
wording (`agent_texts`), the conversations (`support`), the route (`demo.agent`), any database.

A day depends on the seed and the scale alone, with one exception: what no operator answers is pending for three hours,
and expired from then on.
"""

from __future__ import annotations

import math
import random
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hotdash_pipelines.demo.seeded import rng
from hotdash_pipelines.demo.world.agent_texts import (
    ANNOTATORS,
    BAD_LABELS,
    BAD_NOTES,
    GOOD_LABELS,
    OPERATORS,
    PLAYBOOKS,
    SLOW_MS,
    SYNC_ERRORS,
    Action,
    Playbook,
    Tool,
)
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.support import Support
from hotdash_pipelines.demo.world.support_model import INCOMING, OUTGOING, Conversation, Message, SupportEvent
from hotdash_pipelines.demo.world.support_texts import TOPICS_BY_NAME, fill

TABLES = (
    "agent_approvals", "agent_feedback", "agent_queries", "facts",
    "decision_sync_event_logs", "observability_logs", "support_curated_replies",
)  # fmt: skip
# Share of the messages that the agent takes on; the rest goes to people at once.
HANDLED = 0.9
_MOST_ATTEMPTS = 3
# Work on a message ends within this time, so that it ends on the day it began.
_LONGEST_S = 900.0
# How long a paused run waits for an operator. Nothing is left waiting of a day that is written in the next night.
_EXPIRES_S = 3 * 3_600.0
_ORDER_NAME = re.compile(r"#[A-Z]*\d+")

Row = dict[str, Any]


class DayNotOver(ValueError):
    """The day is still going on, or has not begun."""


class AgentDesk:
    """The agent's activity by day. Safe to use from several threads."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        # A desk of its own, because reading scripts disturbs the contacts of the one that the API shows.
        self._support = Support(shop)
        self._lock = threading.Lock()

    @property
    def opened_on(self) -> date:
        """The first day that has conversations, and so activity."""
        return self._support.opened_on

    def activity(self, day: date) -> dict[str, list[Row]]:
        """The rows of a day that is over, by table, each in the order of time.

        A row maps the columns of its table to JSON values, instants in ISO 8601; facts lack their project. Raises
        DayNotOver for a day that can still grow.
        """
        now = self._shop.now_ts()
        closes = self._shop.day_start_ts(day + timedelta(days=1))
        if now < closes:
            raise DayNotOver(f"{day} is not over yet")
        if day < self.opened_on:
            return {table: [] for table in TABLES}
        with self._lock:
            begun = self._support.begun_on(day)
        log = _DayLog(closes, now)
        for conversation, events in begun:
            random_ = rng(self._shop.seed, "agent", conversation.display_id)
            _Handling(log, conversation, PLAYBOOKS[conversation.topic], random_).work(events)
        log.sum_up()
        return {table: sorted(log.rows[table], key=lambda row: row["created_at"]) for table in TABLES}


@dataclass(slots=True)
class _DayLog:
    """The rows of one day that ended at `closes`, as they stand at `now`."""

    closes: float
    now: float
    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in TABLES})
    topics: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, at: float, **columns: Any) -> Row:
        row = {**columns, "created_at": self.instant(at)}
        self.rows[table].append(row)
        return row

    def instant(self, at: float) -> str:
        """ISO 8601 in UTC, to the millisecond; nothing that is done on a day is done after it."""
        return datetime.fromtimestamp(round(min(at, self.closes), 3), UTC).isoformat(timespec="milliseconds")

    def sum_up(self) -> None:
        """What the store tells its agent at the end of the day."""
        for topic, count in sorted(self.topics.items()):
            value = {"conversations": count}
            self.add("facts", self.closes - 60, topic="demand", key=topic, value=value)


@dataclass(slots=True)
class _Handling:
    """The agent at work on one conversation."""

    log: _DayLog
    conversation: Conversation
    playbook: Playbook
    random: random.Random

    def work(self, events: Sequence[SupportEvent]) -> None:
        """Handle the messages of the first day, in the order of time."""
        self.log.topics[self.conversation.topic] += 1
        said = [(event.at, event.value) for event in events if event.op == "message"]
        today = [(at, message) for at, message in said if at < self.log.closes - _LONGEST_S]
        proposed = False
        for at, message in today:
            r = self.random.random
            if message.kind == INCOMING and r() < HANDLED:
                proposed = self._answer(at, message, proposed) or proposed
            elif message.kind == OUTGOING and not message.private and r() < 0.05:
                self._hold_up(at, message)
        if self.conversation.contact.city and self.random.random() < 0.1:
            days = 2 + int(self.random.random() * 4)
            key = self.conversation.contact.city
            self.log.add("facts", said[0][0] + 30, topic="transit", key=key, value={"working_days": days})

    def _answer(self, at: float, message: Message, proposed: bool) -> bool:
        """One run of the agent over one message; True if it asked an operator."""
        request_id = f"req-{self.random.getrandbits(48):012x}"
        slots = self._slots(message)
        at += 2 + self.random.random() * 15
        latencies = []
        for tool in self.playbook.tools[: 1 + int(self.random.random() ** 1.3 * len(self.playbook.tools))]:
            latencies.append(self._ask(at, tool, slots, request_id))
            at += latencies[-1] / 1000 + 0.4 + self.random.random()
        draft = fill(TOPICS_BY_NAME[self.conversation.topic].answers, slots, self.random)
        if self.random.random() < 0.35:
            self._review(at, message.content, draft)
        action = self.playbook.action
        asks = action is not None and not proposed and self.random.random() < action.odds
        if action is not None and asks:
            self._propose(at, action, slots, draft, request_id)
        self._log(at, "INFO", "run finished", request_id, tools=len(latencies), latency_ms=sum(latencies))
        if max(latencies) > SLOW_MS:
            self._log(at, "WARN", "a tool was slow", request_id, latency_ms=max(latencies))
        return asks

    def _ask(self, at: float, tool: Tool, slots: dict[str, str], request_id: str) -> int:
        r = self.random.random
        latency_ms = tool.median_ms * math.exp(self.random.gauss(0.0, 0.45))
        if r() < 0.02:
            latency_ms *= 5 + 8 * r()
        has_answer = r() < 0.95
        verdict = r()
        approved = None if verdict < 0.04 else verdict < (0.95 if has_answer else 0.45)
        row = self.log.add(
            "agent_queries",
            at,
            query=tool.question.format_map({"order": "(unknown)", **slots}),
            result={
                "tool": tool.name,
                "found": has_answer,
                "answer": tool.answer if has_answer else None,
                "request": request_id,
            },
            conversation_id=self._id,
            agent=self.playbook.agent,
            approved=approved,
            human_edited=approved is not None and r() < 0.11,
            latency_ms=round(latency_ms),
        )
        row["updated_at"] = row["created_at"] if approved is None else self.log.instant(at + 20 + r() ** 3 * 3_000)
        return round(latency_ms)

    def _review(self, at: float, text: str, draft: str) -> None:
        """An annotator's verdict on a draft, or its absence."""
        r = self.random.random
        verdict = r()
        safe = None if verdict < 0.07 else verdict < 0.93
        row = self.log.add(
            "agent_feedback",
            at,
            conversation_id=self._id,
            input_text=text,
            model_draft=draft,
            safe_to_send=safe,
            labels=[],
            rubric={},
            annotator=None,
            notes=None,
            meta={"agent": self.playbook.agent, "topic": self.conversation.topic},
        )
        if safe is None:
            row["updated_at"] = row["created_at"]
            return
        row["labels"] = self.random.sample(GOOD_LABELS, 1 + int(r() * 2)) if safe else [self.random.choice(BAD_LABELS)]
        row["rubric"] = {
            "clarity": 3 + int(r() * 3),
            "accuracy": 3 + int(r() * 3) if safe else int(r() * 3),
            "tone": 3 + int(r() * 3) if row["labels"] != ["tone"] else 1,
        }
        row["annotator"] = self.random.choice(ANNOTATORS)
        row["notes"] = None if safe else BAD_NOTES[row["labels"][0]]
        row["updated_at"] = self.log.instant(at + 300 + r() * 7_200)

    def _propose(self, at: float, action: Action, slots: dict[str, str], draft: str, request_id: str) -> None:
        """Pause the run and ask an operator, who answers within minutes, late, or never."""
        arguments = {"order": slots["order"]} if "order" in slots else {"conversation": self._id}
        call = {"tool": action.tool, "arguments": arguments, "reason": action.reason}
        row = self.log.add(
            "agent_approvals",
            at,
            conversation_id=self._id,
            serialized={"agent": self.playbook.agent, "request": request_id, "draft": draft, "next": call},
            last_interruptions=[call],
            approved_by=None,
            status="pending",
        )
        row["updated_at"] = row["created_at"]
        r = self.random.random
        fate = r()
        waited = 150 * math.exp(self.random.gauss(0.0, 0.8))
        if fate < 0.05:
            expires = round(at + _EXPIRES_S, 3)
            if self.log.now >= expires:
                row["status"] = "expired"
                row["updated_at"] = datetime.fromtimestamp(expires, UTC).isoformat(timespec="milliseconds")
            return
        row["status"] = "rejected" if fate < 0.15 else "approved"
        row["approved_by"] = self.random.choice(OPERATORS)
        row["updated_at"] = self.log.instant(at + waited)
        self._pass_on(at + waited, row["status"], action, request_id)

    def _pass_on(self, at: float, status: str, action: Action, request_id: str) -> None:
        """Pass a decision on, trying again with growing pauses when that fails."""
        decision_id = f"dec-{self.random.getrandbits(48):012x}"
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            failed = self.random.random() < (0.07 if attempt == 1 else 0.35)
            duration_ms = round((2_000 if failed else 90) * math.exp(self.random.gauss(0.0, 0.35)))
            at += duration_ms / 1000
            error = self.random.choice(SYNC_ERRORS) if failed else None
            self.log.add(
                "decision_sync_event_logs",
                at,
                decision_id=decision_id,
                scope=self.playbook.scope,
                status="synced" if not failed else "failed" if attempt == _MOST_ATTEMPTS else "retrying",
                attempt=attempt,
                duration_ms=duration_ms,
                error=error,
                payload={"decision": status, "action": action.tool, "conversation": self._id},
            )
            if error is None:
                return
            level = "ERROR" if attempt == _MOST_ATTEMPTS else "WARN"
            self._log(at, level, f"decision not passed on: {error}", request_id, attempt=attempt)
            at += 5 * 3**attempt

    def _hold_up(self, at: float, message: Message) -> None:
        """An approver makes a reply an example for others."""
        approved_at = self.log.instant(at + 600 + self.random.random() * 10_000)
        self.log.add(
            "support_curated_replies",
            at + 60,
            conversation_id=self._id,
            source_message_id=str(message.id),
            message_body=message.content,
            tags=[self.conversation.topic, self.playbook.scope.removeprefix("support.")],
            approver=self.random.choice(OPERATORS),
            approved_at=approved_at,
        )["updated_at"] = approved_at

    def _log(self, at: float, level: str, message: str, request_id: str, **metadata: Any) -> None:
        metadata = {"agent": self.playbook.agent, "conversation": self._id, **metadata}
        self.log.add("observability_logs", at, level=level, message=message, request_id=request_id, metadata=metadata)

    def _slots(self, message: Message) -> dict[str, str]:
        """What sentences and questions may be filled with."""
        contact = self.conversation.contact
        order = self.conversation.custom_attributes.get("order_name") or _ORDER_NAME.search(message.content)
        known = {
            "topic": self.conversation.topic,
            "product": "the product asked about",
            "name": contact.name.split(" ")[0],
            "email": contact.email,
            "city": contact.city,
            "order": order if isinstance(order, str) else order.group() if order else None,
        }
        return {slot: text for slot, text in known.items() if text}

    @property
    def _id(self) -> str:
        return str(self.conversation.display_id)
