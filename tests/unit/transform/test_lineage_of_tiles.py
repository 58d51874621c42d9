"""Tiles and what they are made from: the shipped exposures, and the arithmetic of what is downstream."""

import json
from pathlib import Path

import pytest

from hotdash_pipelines.sla.records.incidents import Impact
from hotdash_pipelines.transform.lineage import Tile, impacts, read_tiles
from hotdash_pipelines.transform.manifest import prepare_manifest

OWNERS = {"team:data", "team:support", "team:marketing"}


@pytest.fixture(scope="module")
def tiles() -> dict[str, Tile]:
    return {tile.name: tile for tile in read_tiles(prepare_manifest())}


def test_every_tile_has_an_owner_and_shows_a_table(tiles: dict[str, Tile]) -> None:
    assert set(tiles) == {
        "Sales", "Orders", "Best sellers", "Stock", "Traffic", "Support inbox", "Agent queue", "Agent quality",
        "Agent activity",
    }  # fmt: skip
    assert all(tile.owner in OWNERS and tile.datasets for tile in tiles.values())
    assert tiles["Sales"].datasets == {"metrics/agg_sales_daily", "marts_core/fct_sale"}
    assert tiles["Agent queue"].datasets == {"agent/agent_approvals"}


def test_every_mart_that_people_look_at_is_on_a_tile(tiles: dict[str, Tile]) -> None:
    manifest = json.loads(Path(prepare_manifest()).read_text())
    facts = {
        f"{node['schema']}/{node['alias']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["name"].startswith(("fct_", "agg_"))
    }
    shown = {dataset for tile in tiles.values() for dataset in tile.datasets}
    assert len(facts) > 8
    assert facts <= shown


def test_what_is_downstream_is_reached_once_over_every_path() -> None:
    upstream = {"raw": set[str](), "left": {"raw"}, "right": {"raw"}, "mart": {"left", "right"}, "other": {"elsewhere"}}
    found = impacts(upstream, [Tile("B", "o", frozenset({"mart"})), Tile("A", "o", frozenset({"raw", "other"}))])
    assert found["raw"] == Impact(("left", "mart", "right"), ("A", "B"))
    assert found["mart"] == Impact((), ("B",))
    assert found["elsewhere"] == Impact(("other",), ("A",))
    assert found["other"] == Impact((), ("A",))


def test_a_ring_ends_and_is_not_downstream_of_itself() -> None:
    assert impacts({"a": {"b"}, "b": {"a"}}, [])["a"] == Impact(("b",), ())
