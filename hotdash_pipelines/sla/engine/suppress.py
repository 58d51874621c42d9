"""Which violation explains which: the root of a cause along the lineage.

Belongs here: the graph of troubles at one instant. Does not belong here: what being explained means (machine.py).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hotdash_pipelines.sla.definitions.rule import Key

# Causes that begin so are shared by all that one observer could not see; there is no lineage between those.
BLIND = "unknown:"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A breach or an open violation: of which `dataset` and `cause`, behind which `root` so far.

    `since` is when it opened, or could open; None when it may not open by itself. `explained_by` names other SLAs whose
    violation explains this one whatever their cause.
    """

    key: Key
    dataset: str
    cause: str
    since: datetime | None = None
    explained_by: tuple[str, ...] = ()
    root: Key | None = None


def roots(troubles: Iterable[Trouble], upstream: Mapping[str, Collection[str]]) -> dict[Key, Key]:
    """Every trouble that another one explains -> the nearest that nothing explains.

    `upstream` maps a dataset to those it is made from (directly, or all of them). Two troubles about different
    partitions do not explain each other. Of a ring the first key is the root: never is everything explained away.
    """
    known = list(troubles)
    blind = [trouble for trouble in known if trouble.cause.startswith(BLIND)]
    return _of_lineage([trouble for trouble in known if not trouble.cause.startswith(BLIND)], upstream) | _shared(blind)


def _shared(blind: list[Trouble]) -> dict[Key, Key]:
    groups: dict[str, list[Trouble]] = {}
    for trouble in blind:
        if trouble.cause != BLIND:
            groups.setdefault(trouble.cause, []).append(trouble)
    explained = {}
    for group in groups.values():
        first = min(group, key=lambda trouble: (trouble.since is None, trouble.since or 0, trouble.key))
        explained |= {trouble.key: first.key for trouble in group if trouble is not first}
    return explained


def _of_lineage(troubles: list[Trouble], upstream: Mapping[str, Collection[str]]) -> dict[Key, Key]:
    by_dataset: dict[tuple[str, str], list[Key]] = {}
    by_name: dict[str, list[Key]] = {}
    for trouble in troubles:
        by_dataset.setdefault((trouble.cause, trouble.dataset), []).append(trouble.key)
        by_name.setdefault(trouble.key[0], []).append(trouble.key)
    parents: dict[Key, list[Key]] = {}
    for trouble in troubles:
        above = [key for name in trouble.explained_by for key in by_name.get(name, ())]
        above += _above(trouble, by_dataset, upstream)
        fitting = (key for key in above if _may_explain(key, trouble.key))
        parents[trouble.key] = list(dict.fromkeys(fitting))
    return {
        trouble.key: root
        for trouble in troubles
        if parents[trouble.key] and (root := _root_of(trouble, parents)) != trouble.key
    }


def _root_of(trouble: Trouble, parents: Mapping[Key, list[Key]]) -> Key:
    reached = _reached(trouble.key, parents)
    ends = [layer for layer in ([key for key in keys if not parents[key]] for keys in reached) if layer]
    # Staying with a root that is still one keeps an incident together.
    if trouble.root is not None and any(trouble.root in layer for layer in ends):
        return trouble.root
    return min(ends[0]) if ends else min(key for keys in reached for key in keys)


def _may_explain(root: Key, child: Key) -> bool:
    same_day = not root[1] or not child[1] or root[1] == child[1]
    return same_day and root[0] != child[0]


def _above(
    trouble: Trouble, by_dataset: Mapping[tuple[str, str], list[Key]], upstream: Mapping[str, Collection[str]]
) -> list[Key]:
    """The troubles next above: through datasets that are fine, not past one that is not."""
    above: list[Key] = []
    seen, layer = {trouble.dataset}, [trouble.dataset]
    while layer:
        following = []
        for dataset in layer:
            for parent in upstream.get(dataset, ()):
                if parent in seen:
                    continue
                seen.add(parent)
                keys = by_dataset.get((trouble.cause, parent))
                here = [key for key in keys if _may_explain(key, trouble.key)] if keys else []
                above += here
                if not here:
                    following.append(parent)
        layer = following
    return above


def _reached(start: Key, parents: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Troubles above `start` by their distance, `start` itself among them where the lineage is a ring."""
    layers, seen, layer = [], set(), [start]
    while layer := sorted({parent for key in layer for parent in parents[key]} - seen):
        seen |= set(layer)
        layers.append(layer)
    return layers
