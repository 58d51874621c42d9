"""What a run leaves behind, and how it failed.

Belongs here: looking. Does not belong here: faults, tests.
"""

import socket
from typing import Any

from hotdash_pipelines.local.first_load import LoadOutcome
from tests.pipeline.harness.in_process import Bench

ORDERS, CONVERSATIONS, TRAFFIC = "shopify/orders", "chatwoot/conversations", "ga4/traffic_daily"
OPERATION = {ORDERS: "Orders", CONVERSATIONS: "conversations", TRAFFIC: "runReport"}
TRANSIENT = 4


def rows_of(state: dict[str, Any]) -> int:
    return sum(int(checksum.split(":")[0]) for checksum in state["tables"].values())


def main_rows(state: dict[str, Any], name: str) -> int:
    """Rows of a stream's main table."""
    source, _, stream = name.partition("/")
    return int(state["tables"][f"raw_{source}.{stream}"].split(":")[0])


def content(state: dict[str, Any]) -> dict[str, Any]:
    """A state without what another fetch of the same rows may change."""
    volatile = ("requests", "cost", "notes", "pages_file")
    manifests = {
        path: {name: value for name, value in manifest.items() if name not in volatile}
        for path, manifest in state["manifests"].items()
    }
    return {**state, "manifests": manifests}


def failure_line(outcome: LoadOutcome) -> str:
    """The one error of a failed run: a single line, without the name of the step before it."""
    assert not outcome.success
    # A part of the job runs every check of its assets, also those that only show how an SLA stands.
    errors = [error for error in outcome.errors if not error.startswith("sla_verdicts: ")]
    assert len(errors) == 1, errors
    line = errors[0].partition(": ")[2]
    assert "\n" not in line
    assert "Traceback" not in line
    return line


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def starts_of(bench: Bench, outcome: LoadOutcome) -> int:
    """How often the step that failed was started."""
    events = [
        record.event_log_entry.dagster_event for record in bench.instance.get_records_for_run(outcome.run_id).records
    ]
    step = outcome.errors[0].partition(": ")[0]
    return sum(
        event is not None and event.step_key == step and event.event_type_value in ("STEP_START", "STEP_RESTARTED")
        for event in events
    )
