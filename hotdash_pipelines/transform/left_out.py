"""What dbt cannot build when some of its sources did not land.

Belongs here: from datasets that are missing or bad to the models that have to wait, by dbt's manifest.
Does not belong here: how it is known that one is (orchestration), running dbt (defs/transform).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

# A model with this in its meta unites sources and is built from what is there.
_GOES_WITHOUT = "goes_without_missing_sources"


@dataclass
class Plan:
    """Models by dbt's unique id, each with the datasets that it lacks.

    `left_out` keep their last state. `built_without` are built nevertheless: they unite sources, or are the views
    below such a model.
    """

    left_out: dict[str, frozenset[str]] = field(default_factory=dict)
    built_without: dict[str, frozenset[str]] = field(default_factory=dict)


def plan(manifest: Mapping[str, Any], missing: Collection[str], bad: Collection[str]) -> Plan:
    """Which models to leave out when these datasets (`raw_shopify/orders`) did not land or are known to be wrong."""
    nodes, parents = manifest["nodes"], manifest["parent_map"]
    sources = {name: f"{node['schema']}/{node['name']}" for name, node in manifest["sources"].items()}
    lacks: dict[str, frozenset[str]] = {
        name: frozenset({dataset} & {*missing, *bad}) for name, dataset in sources.items()
    }
    found = Plan()

    def lacking(name: str) -> frozenset[str]:
        if name not in lacks:
            lacks[name] = frozenset().union(*(lacking(parent) for parent in parents.get(name, ())))
            if _goes_without(nodes.get(name, {})) and not lacks[name] & set(bad):
                found.built_without |= {name: lacks[name]} if lacks[name] else {}
                lacks[name] = frozenset()
        return lacks[name]

    models = [name for name, node in nodes.items() if node["resource_type"] == "model"]
    found.left_out = {name: lacking(name) for name in models if lacking(name)}
    for name in list(found.built_without):
        for view in _views_above(name, nodes, parents):
            if view in found.left_out:
                found.built_without[view] = found.left_out.pop(view)
    return found


def _goes_without(node: Mapping[str, Any]) -> bool:
    meta = {**node.get("meta", {}), **node.get("config", {}).get("meta", {})}
    return bool(meta.get(_GOES_WITHOUT))


def _views_above(name: str, nodes: Mapping[str, Any], parents: Mapping[str, Collection[str]]) -> set[str]:
    """The views that a model reads, and those that they read: without them it cannot be built."""
    views: set[str] = set()
    layer = {name}
    while layer:
        above = {parent for one in layer for parent in parents.get(one, ())} - views
        layer = {parent for parent in above if nodes.get(parent, {}).get("config", {}).get("materialized") == "view"}
        views |= layer
    return views
