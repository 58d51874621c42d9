"""How many conversations and messages Chatwoot has of each business day, by its own reports.

Belongs here: the reports by hour, added up to the store's days. Does not belong here: reading the records themselves.

The reports count what was created. Of messages they count what both sides wrote, no lines of activity and no templates.
Contacts have a count of all and none by day, inboxes and agents none at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.chatwoot.shapes import whole_number
from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.registry import counts

# The server refuses long ranges by hour, or takes its time over them.
_LONGEST = timedelta(days=31)


@counts("chatwoot", "conversations")
def count_conversations(
    client: ChatwootClient, _contract: Contract, windows: Sequence[Window]
) -> Mapping[str, int | None]:
    """Conversations begun on each day that were not deleted since."""
    return _count_days(client, ("conversations_count",), windows)


def _count_days(client: ChatwootClient, metrics: Sequence[str], windows: Sequence[Window]) -> Mapping[str, int | None]:
    """The metrics' sum by partition key: a request a metric and month."""
    counted: dict[str, int | None] = {}
    for together in _together(sorted(windows)):
        hours: dict[int, int] = {}
        for metric in metrics:
            for at, value in _by_hour(client, metric, together):
                hours[at] = hours.get(at, 0) + value
        for window in together:
            start, end = window.start.timestamp(), window.end.timestamp()
            counted[window.key] = sum(value for at, value in hours.items() if start <= at < end)
    return counted


def _together(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows that one request can cover."""
    batch: list[Window] = []
    for window in windows:
        if batch and window.end - batch[0].start > _LONGEST:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _by_hour(client: ChatwootClient, metric: str, windows: Sequence[Window]) -> Iterator[tuple[int, int]]:
    """(begin of the hour in epoch seconds, value). Hours are cut where the store's hours are, in any zone."""
    midnight = windows[-1].start
    offset = -(midnight.hour + midnight.minute / 60) % 24 if midnight.minute else 0
    answer = client.report(metric, windows[0].start, windows[-1].end, offset)
    if not isinstance(answer.document, list):
        raise TransientSourceError(f"the report {metric} was answered without a list; it is asked for again next time")
    for entry in answer.document:
        at = whole_number(entry.get("timestamp")) if isinstance(entry, dict) else None
        value = whole_number(entry.get("value")) if isinstance(entry, dict) else None
        if at is None or value is None:
            raise TransientSourceError(f"the report {metric} holds an hour without a number; it is asked again later")
        yield at, value
