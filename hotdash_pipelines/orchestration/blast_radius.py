"""What a failure within a run reaches: which datasets did not land whole, and so what cannot be made of them.

Belongs here: reading a run's own events while it goes on. Does not belong here: which models read which dataset
(transform.left_out), one step's windows (landing.py), words for people (alerts).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from hotdash_pipelines.orchestration.failures import failure_line

LEFT_OUT_BECAUSE, STATE_OF = "left_out_because", "state_of"
"""Entries of the observation that a dataset gets in place of a materialisation; the state is of that UTC instant."""
BUILT_WITHOUT = "built_without"
"""Entry of a materialisation: the datasets that did not land and of which it has what they held before."""

_POLL_S, _PATIENCE_S = 0.1, 30.0


@dataclass
class Failures:
    """Datasets of a run that something is wrong with, each with the one line of what failed.

    `missing` did not land whole: they hold what they held before, or a part of what is new. `bad` hold what a blocking
    check found wrong.
    """

    missing: dict[str, str] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> Mapping[str, str]:
        """Either kind, by dataset."""
        return {**self.missing, **self.bad}


def failures_so_far(context: dg.OpExecutionContext) -> Failures:
    """What failed upstream of this step in this run, what is made from it included."""
    graph = context.job_def.asset_layer.asset_graph
    made_by = {definition.node_def.name: definition for definition in graph.assets_defs if definition.is_executable}
    this = made_by[context.op.name]
    above = {key for made in this.keys for key in graph.get(made).parent_keys}
    above |= {check.asset_key for check in this.check_keys if not this.keys}
    others = {name: made for name, made in made_by.items() if made is not this}
    _await_their_end(context, [name for name, made in others.items() if above & _concerns(made)])
    failures = Failures()
    for line, definition in (
        (failure_line(event), others[event.step_key]) for event in _failed(context) if event.step_key in others
    ):
        if definition.keys:
            failures.missing |= {key.to_user_string(): line for key in _with_all_below(graph, definition.keys)}
        else:
            failures.bad |= {check.asset_key.to_user_string(): line for check in definition.check_keys}
    return failures


def has_news(context: dg.OpExecutionContext, key: dg.AssetKey) -> bool:
    """Whether anything of an asset has landed in this run."""
    last = context.instance.get_latest_materialization_event(key)
    return last is not None and last.run_id == context.run_id


def left_out(instance: dg.DagsterInstance, key: dg.AssetKey, reasons: Iterable[str]) -> dg.AssetObservation:
    """What a dataset that is left out gets: why, and of when its last state is."""
    last = instance.get_latest_materialization_event(key)
    state_of = f"{datetime.fromtimestamp(last.timestamp, UTC):%Y-%m-%d %H:%M} UTC" if last else "never built"
    return dg.AssetObservation(key, metadata={LEFT_OUT_BECAUSE: "; ".join(sorted(reasons)), STATE_OF: state_of})


def _concerns(definition: dg.AssetsDefinition) -> set[dg.AssetKey]:
    return {*definition.keys, *(check.asset_key for check in definition.check_keys)}


def _failed(context: dg.OpExecutionContext) -> list[dg.DagsterEvent]:
    page = context.instance.get_records_for_run(context.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return [record.event_log_entry.get_dagster_event() for record in page.records]


def _await_their_end(context: dg.OpExecutionContext, steps: list[str]) -> None:
    """In a process of its own a step hands over what it has a moment before it fails."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        stats = context.instance.get_run_step_stats(context.run_id, steps)
        if not any(entry.start_time and not entry.end_time for entry in stats):
            return
        time.sleep(_POLL_S)


def _with_all_below(graph: Any, keys: Iterable[dg.AssetKey]) -> set[dg.AssetKey]:
    reached: set[dg.AssetKey] = set()
    layer = set(keys)
    while layer:
        reached |= layer
        layer = {child for key in layer for child in graph.get(key).child_keys} - reached
    return reached
