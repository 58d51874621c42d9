"""Training data as versions without the people in them, and the proof of the newest one.

Belongs here: the asset and its check. Does not belong here: redaction, formats, publishing (operations.export), when it
runs (defs/schedules.py).
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from hotdash_pipelines.defs.operations.verdicts import OperationVerdict, stored_check
from hotdash_pipelines.operations.export.formats import DESCRIBED
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema, runbook
from hotdash_pipelines.orchestration.resources import ClockResource, StoresResource, WarehouseResource

if TYPE_CHECKING:
    from hotdash_pipelines.operations.export.run import Export

_PAGE = "runbooks/leaked-export.md"
_COLUMNS = tuple((column.name, column.kind, column.about, column.is_nullable, {}) for column in DESCRIBED)


@dg.asset(
    key=keys.EXPORT_KEY,
    # The people whose names are taken out are read from the last four.
    deps=[
        keys.agent_key("agent_feedback"),
        *(keys.raw_key("chatwoot", table) for table in ("conversations", "contacts")),
        *(keys.raw_key("shopify", table) for table in ("customers", "orders")),
    ],
    group_name=keys.OPERATIONS_GROUP,
    owners=[keys.TEAM_DATA],
    kinds={"python", "json"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=8)),
    pool=keys.WAREHOUSE_POOL,
    metadata={"dagster/column_schema": column_schema(_COLUMNS), "runbook": runbook(_PAGE)},
)
def training_data(
    context: dg.AssetExecutionContext, clock: ClockResource, stores: StoresResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:
    """One row is one draft of the support agent that a reviewer marked safe to send, without the people in it.

    Made every Sunday, late after 8 days. A version is immutable and named by its content: when no draft changed, the
    newest version stands and no other is made. Names, addresses, numbers and the like are replaced by tokens such as
    `[EMAIL_REDACTED]`, conversations by pseudonyms, annotators left out; docs/redaction.md says what is missed.
    """
    from hotdash_pipelines.operations.export.run import export_training

    with one_line_errors(context.op_execution_context, "exports/training_data"):
        done = export_training(
            warehouse.url(),
            stores.exports(),
            now=clock.now(),
            scratch=stores.scratch(),
            pseudonym_key=stores.pseudonym_key(),
            key=stores.manifest_key(),
        )
    context.log.info(f"{done.manifest.version}: {'new' if done.is_new else 'nothing changed'}")
    return dg.MaterializeResult(metadata=_facts(done))


def _facts(done: "Export") -> dict[str, Any]:
    manifest = done.manifest
    return {
        "dagster/row_count": manifest.rows,
        "version": manifest.version,
        "sha256": manifest.sha256,
        "is_new": done.is_new,
        "files": dg.MetadataValue.path(done.location),
        "bytes": manifest.bytes,
        "texts": manifest.texts,
        "redactor_version": manifest.redactor_version,
        **{f"redacted_{kind}": count for kind, count in manifest.redactions.items()},
        "conversations_with_known_people": manifest.known["matched"],
        "conversations_without": manifest.known["unmatched"],
    }


def verifies(stores: StoresResource, url: str, now: datetime) -> OperationVerdict:  # noqa: ARG001 - every judge's
    """Whether the newest version is what was published, and nothing personal is found in it."""
    from hotdash_pipelines.operations.export.files import versions
    from hotdash_pipelines.operations.export.verify import verify

    for newest in versions(stores.exports())[-1:]:
        verified = verify(stores.exports(), newest, scratch=stores.scratch(), key=stores.manifest_key())
        summary = "; ".join(verified.problems) or f"{verified.rows:,} rows of {newest} are as they were published"
        return OperationVerdict(verified.is_sound and verified.rows > 0, summary, verified.rows, {"version": newest})
    return OperationVerdict(False, f"{stores.exports().uri('')} holds no export: materialise this asset")


published_export_verifies = stored_check(
    keys.EXPORT_KEY,
    "published_export_verifies",
    verifies,
    "The newest version is whole and unchanged, and looking through its texts again finds nothing personal.",
    dimension="accuracy",
    page=_PAGE,
)
