"""The raw tables: one step a stream loads its lake partitions into Postgres, one asset a table.

Belongs here: one multi-asset for each contract. Does not belong here: the merge itself (warehouse.loading.load).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.ingest.run import load_windows
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors, windows_of
from hotdash_pipelines.orchestration.metadata import LOADER_COLUMNS, contract_metadata, table_description
from hotdash_pipelines.orchestration.partitions import BACKFILL_POLICY, daily_partitions
from hotdash_pipelines.orchestration.resources import ClockResource, LakeResource, ProjectResource, WarehouseResource
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.loading.load import TableLoad


def raw_tables(contract: Contract) -> dg.AssetsDefinition:
    """The step that loads one stream: its main table and the tables nested in it, in one transaction a partition."""
    settings = get_settings()
    specs = [
        dg.AssetSpec(
            keys.raw_key(contract.source, table.name),
            deps=[keys.lake_key(contract.source, contract.stream)],
            description=table_description(
                contract,
                table,
                f"Loaded from `lake_{contract.source}/{contract.stream}`; running a partition again changes nothing.",
            ),
            group_name=contract.source,
            owners=[contract.owner],
            kinds=keys.RAW_KINDS,
            code_version=contract.digest,
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=contract.late_after_hours)),
            metadata={
                **contract_metadata(contract, table, LOADER_COLUMNS),
                "dagster/table_name": f"raw_{contract.source}.{table.name}",
            },
        )
        for table in contract.tables
    ]

    @dg.multi_asset(
        name=f"raw_{contract.source}__{contract.stream}",
        specs=specs,
        partitions_def=daily_partitions(settings.first_partition, settings.store_timezone),
        backfill_policy=BACKFILL_POLICY,
        pool=keys.WAREHOUSE_POOL,
    )
    def load(
        context: dg.AssetExecutionContext,
        clock: ClockResource,
        lake: LakeResource,
        warehouse: WarehouseResource,
        project: ProjectResource,
    ) -> Iterator[dg.MaterializeResult]:
        changes: dict[str, Counter[str]] = {table.name: Counter() for table in contract.tables}
        with one_line_errors(context.op_execution_context, windows_of(contract, context.partition_keys)):
            windows = [window_of(key, settings.zone) for key in context.partition_keys]
            loads = load_windows(contract, lake.store(), warehouse.url(), project.key(), windows, clock.now())
            for _, result in loads:
                for name, table in result.tables.items() if result else ():
                    changes[name].update(_counts(table))
                    changes[name]["dagster/row_count"] = table.total
        for table in contract.tables:
            yield dg.MaterializeResult(
                asset_key=keys.raw_key(contract.source, table.name), metadata=dict(changes[table.name])
            )

    return load


def _counts(table: TableLoad) -> dict[str, int]:
    return {
        "rows_inserted": table.inserted,
        "rows_updated": table.updated,
        "rows_deleted": table.deleted,
        "rows_unchanged": table.unchanged,
    }


raw_assets = [raw_tables(contract) for contract in load_contracts()]
