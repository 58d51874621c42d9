"""What may be relied on in Chatwoot's answers: lists, counts and instants, whatever came instead.

Belongs here: reading one answer's envelope and a record's instants, for any version of the server.
Does not belong here: which page to ask for next (paging.py), the columns (contracts).

A version that lacks a field which decides nothing is read all the same; an envelope without its list is no answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.registry import Skipped

Record = dict[str, Any]
# What an error or a note names, so that it stays one line.
_NAMED = 20


@dataclass
class Omitted:
    """Records that were left out, each with its reason. `sick` are those of them that should have been there."""

    reasons: dict[str, str] = field(default_factory=dict)
    sick: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, reason: str, *, is_gone: bool = False) -> None:
        """Leave out one record; `name` such as `conversation 77`, never anything personal."""
        self.reasons[name] = reason
        if not is_gone:
            self.sick[name] = reason

    def take(self, other: "Omitted") -> None:
        """Add what another reading left out."""
        self.reasons |= other.reasons
        self.sick |= other.sick

    def skipped(self) -> tuple[Skipped, ...]:
        """The sick ones for the quarantine."""
        return tuple(Skipped(name, reason) for name, reason in sorted(self.sick.items()))

    def notes(self) -> dict[str, str | int | float | bool]:
        """`skipped` and `skipped_records`: how many, and the first with their reasons; `sick`: how many may return."""
        if not self.reasons:
            return {}
        named = [f"{name} ({reason})" for name, reason in sorted(self.reasons.items())[:_NAMED]]
        notes: dict[str, str | int | float | bool] = {"skipped": len(self.reasons), "skipped_records": ", ".join(named)}
        return notes | ({"sick": len(self.sick)} if self.sick else {})


@dataclass(frozen=True)
class Listed:
    """One page of a list: its records, all its entries, and the list's own count where the answer has one."""

    records: list[Record]
    entries: int
    count: int | None


def listed(document: Any, what: str, skipped: Omitted, *, page: int = 1) -> Listed:
    """A page of `conversations`, `contacts` or `messages`; entries without a number are skipped, named by their place.

    Raises TransientSourceError when there is no list, unless the answer counts nothing.
    """
    body = document.get("data", document) if isinstance(document, dict) else document
    meta = body.get("meta") if isinstance(body, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    count = whole_number(meta.get("all_count", meta.get("count")))
    entries = body.get("payload") if isinstance(body, dict) else body
    if entries is None and count == 0:
        entries = []
    if not isinstance(entries, list):
        raise TransientSourceError(f"{what} were answered without a list; materialise the partition again later")
    records = []
    for place, entry in enumerate(entries, 1):
        if isinstance(entry, dict) and whole_number(entry.get("id")) is not None:
            records.append(entry)
        else:
            skipped.add(f"entry {place} of page {page} of the {what}", "it has no number")
    return Listed(records, len(entries), count)


def whole_number(value: Any) -> int | None:
    """An integer as such, whole floats and digits included; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def instant(record: Record, *names: str) -> float:
    """The first of these fields that holds epoch seconds; 0 where none does (0 also stands for "never")."""
    for name in names:
        value = record.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            return float(value)
    return 0.0


def created(record: Record) -> float:
    """When the record began, in epoch seconds."""
    return instant(record, "created_at")


def active(record: Record) -> float:
    """When the record was last active; 0 for a contact who never was."""
    return instant(record, "last_activity_at", "timestamp")


def updated(conversation: Record) -> float:
    """When the conversation last changed; its last activity where the server does not say (before 4.0)."""
    return instant(conversation, "updated_at", "last_activity_at", "timestamp", "created_at")


def last_message(conversation: Record) -> int:
    """The number of the last message, as the conversation tells it; 0 where it tells none."""
    messages = conversation.get("messages")
    entries = messages if isinstance(messages, list) else []
    return max((whole_number(one.get("id")) or 0 for one in entries if isinstance(one, dict)), default=0)


def ids(records: Iterable[Record]) -> set[int]:
    """The records' numbers."""
    return {whole_number(one["id"]) or 0 for one in records}
