"""The stand-in's reports: what was created, by hour or day.

Belongs here: metrics that count, their buckets. Does not belong here: routes and authentication (routes.py).

The server groups by a zone that it finds by the offset asked for, which cuts hours and days; `until` is not included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from hotdash_pipelines.demo.world.support_model import INCOMING, OUTGOING, Conversation

_HOUR_S = 3_600
_BUCKETS = {"hour": _HOUR_S, "day": 24 * _HOUR_S}


def _messages(kind: int) -> Callable[[Conversation], Iterable[float]]:
    return lambda conversation: (message.at for message in conversation.messages if message.kind == kind)


METRICS: dict[str, Callable[[Conversation], Iterable[float]]] = {
    "conversations_count": lambda conversation: (conversation.created_at,),
    "incoming_messages_count": _messages(INCOMING),
    "outgoing_messages_count": _messages(OUTGOING),
}


def report(
    conversations: Iterable[Conversation], metric: str, since: int, until: int, group_by: str, offset_hours: float
) -> list[dict[str, Any]]:
    """`[{value, timestamp}]` for each bucket of `[since, until)`, empty ones too. KeyError for other metrics."""
    length = _BUCKETS.get(group_by, _BUCKETS["day"])
    shift = int(offset_hours * _HOUR_S)

    def bucket(at: float) -> int:
        return int((at + shift) // length) * length - shift

    created = METRICS[metric]
    values = Counter(bucket(at) for one in conversations for at in created(one) if since <= at < until)
    return [{"value": values[at], "timestamp": at} for at in range(bucket(since), until, length)]
