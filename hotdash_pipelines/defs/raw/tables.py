"""The raw tables: one step a stream loads its lake partitions into Postgres, one asset a table.

Belongs here: one multi-asset for each contract. Does not belong here: the merge itself (warehouse.loading.load).
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.ingest.completeness import DaysVerdict, has_count_by_day, verdict
from hotdash_pipelines.ingest.run import is_whole, load_window, note_waiting
from hotdash_pipelines.lake.partition import read_manifest
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.check_results import counted_as, finding_of, keep
from hotdash_pipelines.orchestration.landing import NO_LISTING, Landing
from hotdash_pipelines.orchestration.metadata import (
    LOADER_COLUMNS,
    contract_metadata,
    runbook,
    table_description,
)
from hotdash_pipelines.orchestration.partitions import BACKFILL_POLICY, daily_partitions
from hotdash_pipelines.orchestration.resources import ClockResource, LakeResource, ProjectResource, WarehouseResource
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.loading.load import Loader
from hotdash_pipelines.warehouse.loading.steps import TableLoad
from hotdash_pipelines.warehouse.stream_days import refresh_days

_DAYS = "days_match_the_source"


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
        check_specs=_check_specs(contract),
    )
    def load(
        context: dg.AssetExecutionContext,
        clock: ClockResource,
        lake: LakeResource,
        warehouse: WarehouseResource,
        project: ProjectResource,
    ) -> Iterator[dg.AssetMaterialization | dg.AssetObservation | dg.MaterializeResult]:
        store, assets = lake.store(), [keys.raw_key(contract.source, table.name) for table in contract.tables]
        lake_key = keys.lake_key(contract.source, contract.stream)
        landing, is_counted = Landing(context, contract, assets), has_count_by_day(contract)
        checks = [_not_compared(contract)] if is_counted else []
        with Loader(warehouse.url(), contract) as loader:
            for key in landing.left():
                window = window_of(key, settings.zone)
                with landing.doing(key):
                    manifest = read_manifest(store, contract, project.key(), key)
                    if landing.is_with(lake_key) and not is_whole(contract, window, manifest, clock.now()):
                        landing.leaves_out(key, "it did not land in the lake")
                        continue
                    result = load_window(
                        loader, contract, store, project.key(), window, manifest, clock.now(), lake.workspace()
                    )
                    version = manifest.content_digest() if manifest else NO_LISTING
                    for asset, table in zip(assets, contract.tables, strict=True):
                        counts = _counts(result.tables[table.name]) if result else {}
                        if table is contract.table and not is_counted:
                            counts["days_by_the_source"] = "no independent count"
                        yield landing.reported(asset, key, version, counts, made_from=version)
        with landing.doing(*landing.keys):
            with warehouse.connection() as conn:
                ensure_raw_tables(conn, (contract,))
            waiting = note_waiting(contract, store, warehouse.url(), project.key(), clock.now())
            yield dg.AssetObservation(
                keys.QUARANTINE_KEY, metadata={"records_waiting": sum(waiting.values()), **waiting}
            )
            checks = _counted_days(context, contract, landing.keys, warehouse, project, clock)
        for asset, table in zip(assets, contract.tables, strict=True):
            yield landing.done(asset, checks if table is contract.table else ())
        landing.conclude()

    return load


def _counted_days(
    context: dg.AssetExecutionContext,
    contract: Contract,
    partition_keys: Sequence[str],
    warehouse: WarehouseResource,
    project: ProjectResource,
    clock: ClockResource,
) -> list[dg.AssetCheckResult]:
    now, is_counted = clock.now(), has_count_by_day(contract)
    zone = get_settings().store_timezone
    days = verdict(
        refresh_days(warehouse.url(), contract, project.key(), zone, partition_keys, now, is_counted=is_counted)
    )
    if not is_counted:
        return []
    result = _days_check(contract, days)
    finding = finding_of(result, _check_specs(contract)[0], "ingest")
    keep(warehouse.url(), [finding], project.key(), context.run_id, now)
    return [result]


def _check_specs(contract: Contract) -> list[dg.AssetCheckSpec]:
    """None where the source counts no days: a check that compares nothing would pass."""
    if not has_count_by_day(contract):
        return []
    return [
        dg.AssetCheckSpec(
            _DAYS,
            asset=keys.raw_key(contract.source, contract.table.name),
            description="Each day in the store's zone has as many records as its source counts, deleted ones left out. "
            "A day that differs is not complete in the marts; one that waits for later windows is a warning.",
            metadata={**counted_as("completeness", _DAYS), "runbook": runbook("runbooks/day-not-complete.md")},
        )
    ]


def _days_check(contract: Contract, days: DaysVerdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=keys.raw_key(contract.source, contract.table.name),
        check_name=_DAYS,
        passed=not days.differing and not days.waiting,
        severity=dg.AssetCheckSeverity.WARN if days.waiting and not days.differing else dg.AssetCheckSeverity.ERROR,
        description=days.message,
        metadata={
            "days_compared": days.counted,
            "source_records": days.source_records,
            "loaded_records": days.loaded_records,
            "days_off": ", ".join(str(day.day) for day in days.differing) or "none",
            "days_waiting": len(days.waiting),
        },
    )


def _not_compared(contract: Contract) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=keys.raw_key(contract.source, contract.table.name),
        check_name=_DAYS,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="the days could not be compared; the step says why",
    )


def _counts(table: TableLoad) -> dict[str, int | str]:
    return {
        "dagster/row_count": table.total,
        "rows_inserted": table.inserted,
        "rows_updated": table.updated,
        "rows_deleted": table.deleted,
        "rows_unchanged": table.unchanged,
    }


raw_assets = [raw_tables(contract) for contract in load_contracts()]
