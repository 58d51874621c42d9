"""What is made from what: datasets by the assets, tiles of the dashboard by dbt's exposures.

Belongs here: the graph as plain names, and what is downstream of each. Does not belong here: what follows from it for
an incident (sla.records.incidents).
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotdash_pipelines.sla.records.incidents import Impact


@dataclass(frozen=True)
class Tile:
    """A tile of the dashboard: its name, whose it is, and the datasets that it shows."""

    name: str
    owner: str
    datasets: frozenset[str]


def read_tiles(manifest: Path) -> tuple[Tile, ...]:
    """The exposures of a dbt manifest, by name."""
    content = json.loads(manifest.read_bytes())
    nodes = {**content["nodes"], **content["sources"]}
    tiles = []
    for exposure in content["exposures"].values():
        datasets = frozenset(_dataset(nodes[name]) for name in exposure["depends_on"]["nodes"])
        tiles.append(Tile(exposure["label"] or exposure["name"], exposure["owner"]["name"], datasets))
    return tuple(sorted(tiles, key=lambda tile: tile.name))


def _dataset(node: Mapping[str, Any]) -> str:
    name = node["name"] if node["resource_type"] == "source" else node["alias"]
    return f"{node['schema']}/{name}"


def impacts(upstream: Mapping[str, Collection[str]], tiles: Iterable[Tile]) -> dict[str, Impact]:
    """What is downstream of each dataset: others made from it, and tiles that show it or one of those."""
    children: dict[str, set[str]] = {name: set() for name in upstream}
    for name, parents in upstream.items():
        for parent in parents:
            children.setdefault(parent, set()).add(name)
    tiles = tuple(tiles)
    impact_of = {}
    for name in children:
        below = _below(name, children)
        shown = sorted(tile.name for tile in tiles if tile.datasets & (below | {name}))
        impact_of[name] = Impact(tuple(sorted(below)), tuple(shown))
    return impact_of


def _below(name: str, children: Mapping[str, set[str]]) -> set[str]:
    below: set[str] = set()
    layer = {name}
    while layer := {child for one in layer for child in children.get(one, ())} - below:
        below |= layer
    return below - {name}
