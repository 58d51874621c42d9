"""What a window's fetch is told of the window before, and windows that lack what their source could not show."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts.model import CONTRACTS_DIR, load_contract
from hotdash_pipelines.ingest.run import Ingested, ingest_window, is_due
from hotdash_pipelines.sources import Fetched
from hotdash_pipelines.storage import FolderStore

ZONE = ZoneInfo("America/New_York")
MESSAGES = load_contract(CONTRACTS_DIR / "chatwoot" / "messages.yaml")
NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)


def ingest(store: FolderStore, key: str, **notes: int) -> tuple[Ingested, dict[str, object]]:
    """A window whose source notes these; and what it was told."""
    told: dict[str, object] = {}

    def fetch(_client, _contract, _window, held, _pages) -> Fetched:
        told.update(held.notes_before())
        return Fetched([], 1, None, "v1", None, dict(notes))

    return ingest_window(MESSAGES, None, fetch, store, "shop", window_of(key, ZONE), NOW), told


def test_a_window_goes_on_from_the_notes_of_the_day_before(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert ingest(store, "2026-03-07", largest_id=41)[1] == {}
    assert ingest(store, "2026-03-08")[1] == {"largest_id": 41}
    assert ingest(store, "2026-03-10")[1] == {}


@pytest.mark.parametrize(("notes", "days"), [({"sick": 1}, 7), ({"skipped": 1}, 2), ({}, 2)])
def test_a_window_that_lacks_sick_records_is_due_for_a_week(tmp_path: Path, notes: dict[str, int], days: int) -> None:
    newest = window_of("2026-03-09", ZONE)
    keys = [(newest.day - timedelta(days=back)).isoformat() for back in range(10)]
    due = [
        key
        for key in keys
        if is_due(MESSAGES, window_of(key, ZONE), newest, ingest(FolderStore(tmp_path), key, **notes)[0].manifest)
    ]
    assert due == keys[:days]
