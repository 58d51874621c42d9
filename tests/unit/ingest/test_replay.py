"""A window that is parsed anew from what is kept of it: the rows may change, what is known of its reading stays."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from hotdash_pipelines.ingest.replay import replay
from hotdash_pipelines.ingest.run import ingest_window
from hotdash_pipelines.lake.partition import read_manifest
from hotdash_pipelines.lake.quarantine import unread
from hotdash_pipelines.sources import Fetched
from hotdash_pipelines.sources.registry import Skipped
from hotdash_pipelines.storage import FolderStore
from tests.synthetic import KEY, PROJECT, window
from tests.unit.contracts.pages import ORDERS, an_order

DAY = date.fromisoformat(KEY)
FETCHED = Fetched(
    pages=[json.dumps({"data": {"orders": {"nodes": [an_order(1, lines=2), an_order(2, lines=1)]}}}).encode()],
    requests=3,
    cost=41.5,
    api_version="2026-07",
    expected_rows=3,
    notes={"read_again": True},
    skipped=(Skipped("gid://shopify/Order/9", "the source fails whenever it is asked for it", b'{"id": 9}'),),
    deleted={"7": datetime(2025, 3, 1, 10, tzinfo=UTC), "8": None},
)


def test_a_replay_by_the_same_contract_changes_nothing_of_the_window(tmp_path: Path) -> None:
    store, now = FolderStore(tmp_path), datetime(2025, 3, 2, 4, tzinfo=UTC)
    before = ingest_window(ORDERS, None, lambda *_: FETCHED, store, PROJECT, window(), now).manifest
    assert before is not None
    assert (before.rows["orders"], before.quarantined) == (2, 1)
    sick = unread(store, ORDERS, PROJECT, window())
    assert [(one.key, one.record) for one in sick] == [('["9"]', b'{"id": 9}')]
    for dry_run in (True, False):
        (told,) = replay(ORDERS, store, PROJECT, DAY, DAY, dry_run=dry_run)
        assert (told.error, told.rows, told.quarantined) == (None, 2, 1)
        assert read_manifest(store, ORDERS, PROJECT, KEY) == before
        assert unread(store, ORDERS, PROJECT, window()) == sick
