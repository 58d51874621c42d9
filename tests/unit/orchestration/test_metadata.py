"""What the UI shows of a partition in the lake."""

from dataclasses import replace
from datetime import UTC, datetime

from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.orchestration.metadata import partition_metadata

ORDERS = PartitionManifest(
    source="shopify",
    stream="orders",
    project="p",
    key="2026-03-09",
    window_start=datetime(2026, 3, 9, 4, tzinfo=UTC),
    window_end=datetime(2026, 3, 10, 4, tzinfo=UTC),
    contract_version=1,
    contract_digest="d",
    api_version="v",
    fetched_at=datetime(2026, 3, 10, 8, 5, tzinfo=UTC),
    requests=3,
    cost=None,
    rows={"orders": 2},
    expected_rows=2,
    cursor_min=None,
    cursor_max=None,
    files=(),
    pages_file=None,
)


def test_deletions_that_the_source_did_not_tell_are_said_of_the_partition() -> None:
    assert "deletions_unknown" not in partition_metadata(ORDERS, "/lake")
    shown = partition_metadata(replace(ORDERS, notes={"deletions_unknown": True}), "/lake")
    assert "did not tell what it deleted" in shown["deletions_unknown"]
