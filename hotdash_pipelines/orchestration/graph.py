"""Dagster's asset graph as plain names.

Belongs here: what is made from what directly. Does not belong here: what follows from it (transform.lineage).
"""

from typing import Any


def upstream_of(graph: Any) -> dict[str, frozenset[str]]:
    """Each dataset with those that it is made from directly, as an asset graph has them."""
    return {
        node.key.to_user_string(): frozenset(parent.to_user_string() for parent in node.parent_keys)
        for node in graph.asset_nodes
    }
