"""The records that were set aside, as an external asset: the steps that load a stream tell how many wait.

Belongs here: how the table looks in the UI. Does not belong here: the table (migrations), what is in it
(warehouse/loading/quarantine.py).
"""

from datetime import timedelta

import dagster as dg

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.metadata import column_schema, runbook

_COLUMNS = (
    ("project_key", "text", "Slug of the store.", False, {}),
    ("source", "text", "Where the record comes from.", False, {}),
    ("stream", "text", "The stream of the source.", False, {}),
    ("window_key", "text", "The partition in which it arrived.", False, {}),
    ("record_digest", "text", "sha256 of the record as it was sent.", False, {}),
    ("key_digest", "text", "sha256 of its key, null where that cannot be read.", True, {}),
    ("reason", "text", "Table, column and kind of the value at fault, never the value.", False, {}),
    ("contract_version", "integer", "Version of the contract that it broke.", False, {}),
    ("noticed_at", "timestamp with time zone", "When it was set aside.", False, {}),
    ("resolved_at", "timestamp with time zone", "When it had landed or gone; null while it waits.", True, {}),
)

quarantined_records = dg.AssetSpec(
    keys.QUARANTINE_KEY,
    deps=[keys.lake_key(contract.source, contract.stream) for contract in load_contracts()],
    description=(
        "One row is one record that a source sent and that could not be read by its contract. It was set aside and its "
        "neighbours were loaded; what it says lies in the quarantine of the lake, for its owner alone.\n\n"
        "Each load of a stream tells how many wait. `hotdash quarantine list` names them, `hotdash quarantine replay` "
        "reads them again once the contract is mended.\n\n"
        "Key: `project_key, source, stream, window_key, record_digest`."
    ),
    group_name=keys.OPERATIONS_GROUP,
    owners=[keys.TEAM_DATA],
    kinds=keys.RAW_KINDS,
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    metadata={
        "dagster/column_schema": column_schema(_COLUMNS),
        "dagster/table_name": "ops.quarantined_records",
        "runbook": runbook("runbooks/quarantine.md"),
    },
)
