"""The lake's assets: one daily-partitioned asset a stream, from its source's API into Parquet.

Belongs here: one asset and its checks for each contract.
Does not belong here: how a stream is fetched, parsed or stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import dagster as dg

from hotdash_pipelines.base.windows import last_complete_day, window_of
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.ingest.completeness import count_days
from hotdash_pipelines.ingest.hold_back import Doubt
from hotdash_pipelines.ingest.run import Ingested, can_be_read, ingest_window, is_due, is_off
from hotdash_pipelines.lake.partition import folder_of, prune_pages, read_manifest
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.check_results import counted_as, finding_of, keep
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.landing import NO_LISTING, Landing
from hotdash_pipelines.orchestration.metadata import contract_metadata, partition_metadata, runbook, table_description
from hotdash_pipelines.orchestration.partitions import BACKFILL_POLICY, daily_partitions
from hotdash_pipelines.orchestration.resources import (
    ClockResource,
    LakeResource,
    ProjectResource,
    SourcesResource,
    WarehouseResource,
)
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sources import SourceError, fetcher, whole
from hotdash_pipelines.storage import Store

_COUNTS = "row_counts_match_the_source"
_DRIFT = "all_fields_and_values_are_known"
_KEPT = "no_answer_was_held_back"
_QUARANTINE = "no_record_waits_in_quarantine"
_NOT_OVER = "its source counts a date once it is over; materialise it after {:%Y-%m-%d %H:%M} UTC"


def lake_asset(contract: Contract) -> dg.AssetsDefinition:
    """The asset that keeps one stream's partitions in the lake."""
    settings = get_settings()
    key = keys.lake_key(contract.source, contract.stream)

    @dg.asset(
        key=key,
        description=table_description(contract, contract.table, "Parquet as the API sent it, typed by its contract."),
        group_name=contract.source,
        owners=[contract.owner],
        kinds=keys.lake_kinds(contract.source),
        partitions_def=daily_partitions(settings.first_partition, settings.store_timezone),
        backfill_policy=BACKFILL_POLICY,
        code_version=contract.digest,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=contract.late_after_hours)),
        pool=keys.api_pool(contract.source),
        metadata=contract_metadata(contract, contract.table),
        check_specs=_check_specs(key),
    )
    def stream(
        context: dg.AssetExecutionContext,
        clock: ClockResource,
        sources: SourcesResource,
        lake: LakeResource,
        warehouse: WarehouseResource,
        project: ProjectResource,
    ) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult]:
        now, store, zone = clock.now(), lake.store(), settings.zone
        newest = window_of(last_complete_day(now, zone).isoformat(), zone)
        routine = context.run.tags.get(keys.REFETCH_TAG) == keys.REFETCH_DUE
        just_read_since = now - timedelta(minutes=settings.reread_after_minutes) if routine else None
        limits = get_settings()
        doubt = Doubt(
            limits.small_answer_share,
            timedelta(minutes=limits.second_read_after_minutes),
            is_waived=context.run.tags.get(keys.FEWER_ROWS_TAG) == keys.FEWER_ROWS_ACCEPTED,
        )
        done: list[Ingested] = []
        landing = Landing(context, contract, [key])
        with ExitStack() as stack:
            client = None
            with landing.doing(*landing.keys):
                client = stack.enter_context(sources.client(contract.source))
            # The oldest first: a row that is touched while we read leaves its day for the newest one.
            for partition_key in landing.left():
                window = window_of(partition_key, zone)
                with landing.doing(partition_key):
                    held = read_manifest(store, contract, project.key(), partition_key)
                    if not can_be_read(contract, window, newest) or (
                        routine and not is_due(contract, window, newest, held, just_read_since)
                    ):
                        done.append(Ingested(partition_key, held, was_fetched=False))
                    else:
                        fetch = fetcher(contract.source, contract.stream)
                        done.append(
                            ingest_window(
                                contract,
                                client,
                                fetch,
                                store,
                                project.key(),
                                window,
                                clock.now(),
                                warehouse.url(),
                                doubt,
                                lake.workspace(),
                            )
                        )
                        if done[-1].held_back:
                            context.log.warning(f"{partition_key}: held back: {done[-1].held_back}")
                        else:
                            context.log.info(f"{partition_key}: {done[-1].rows} rows")
                    manifest = done[-1].manifest
                    if manifest and is_off(manifest):
                        landing.leaves_out(partition_key, "it has other rows than its source counted")
                    else:
                        is_not_over = contract.semantics == "event_date" and window.end > newest.end
                        told = {"not_read": f"{partition_key}: {_NOT_OVER.format(window.end)}"} if is_not_over else {}
                        if done[-1].held_back:
                            told["held_back"] = done[-1].held_back
                        yield _landed(landing, contract, key, store, done, told)
            if client and done:
                held = [entry.manifest for entry in done if entry.manifest]
                with landing.doing(*landing.keys):
                    try:
                        count_days(contract, client, warehouse.url(), project.key(), zone, held, clock.now)
                    except SourceError as error:
                        # The rows are here; days that were not counted are counted by the next run.
                        context.log.warning(f"not counted by day: {error}")
        checks = [_nothing_to_count(key)]
        if done:
            checks = [check(key, done) for check in (_count_check, _drift_check, _kept_check, _quarantine_check)]
        specs = {spec.name: spec for spec in _check_specs(key)}
        with one_line_errors(context.op_execution_context, landing.where):
            prune_pages(store, contract, project.key(), now - timedelta(days=settings.raw_pages_days))
            findings = [finding_of(check, specs[str(check.check_name)], "ingest") for check in checks]
            keep(warehouse.url(), findings, project.key(), context.run_id, now)
        yield landing.done(key, checks)
        landing.conclude()

    return stream


def _check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            _COUNTS,
            asset=key,
            blocking=True,
            description="The source's own count of the window and the rows that landed agree within 0.1 %.",
            metadata=counted_as("completeness", _COUNTS),
        ),
        dg.AssetCheckSpec(
            _DRIFT,
            asset=key,
            description="The source sent no field and no status that its contract does not name.",
            metadata=counted_as("validity", _DRIFT),
        ),
        dg.AssetCheckSpec(
            _KEPT,
            asset=key,
            description="No answer lacked most of the rows that were there: such a one is held back, and the lake "
            "keeps what it had until a second witness confirms it.",
            metadata=counted_as("completeness", _KEPT),
        ),
        dg.AssetCheckSpec(
            _QUARANTINE,
            asset=key,
            description="Every record of the windows could be read; what could not waits in the quarantine.",
            metadata={**counted_as("validity", _QUARANTINE), "runbook": runbook("runbooks/quarantine.md")},
        ),
    ]


def _landed(
    landing: Landing,
    contract: Contract,
    key: dg.AssetKey,
    store: Store,
    done: Sequence[Ingested],
    told: Mapping[str, str],
) -> dg.AssetMaterialization:
    newest, rows = done[-1], sum(entry.rows for entry in done)
    metadata: dict[str, Any] = {"dagster/row_count": rows, "fetched": newest.was_fetched, **told}
    version = NO_LISTING
    if manifest := newest.manifest:
        uri = store.uri(folder_of(contract, manifest.project, newest.key))
        metadata |= partition_metadata(manifest, uri)
        version = manifest.content_digest()
    return landing.reported(key, newest.key, version, metadata)


def _nothing_to_count(key: dg.AssetKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_COUNTS,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="no window landed, so nothing could be counted",
    )


def _count_check(key: dg.AssetKey, done: Sequence[Ingested]) -> dg.AssetCheckResult:
    counted = [entry for entry in done if entry.manifest and entry.manifest.expected_rows is not None]
    expected = sum(entry.manifest.expected_rows or 0 for entry in counted if entry.manifest)
    landed = sum(entry.rows for entry in counted)
    short = [entry.key for entry in counted if entry.manifest and is_off(entry.manifest)]
    aside = sum(entry.manifest.quarantined for entry in counted if entry.manifest)
    alone = [entry for entry in done if entry.manifest and entry.manifest.expected_rows is None]
    told = f"windows {', '.join(short)}: materialise them again" if short else None
    if not counted and alone:
        told = "nothing to compare with: the source gives no count of its own"
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_COUNTS,
        passed=not short,
        metadata={
            "expected_rows": expected,
            "landed_rows": landed,
            "quarantined_records": aside,
            "windows_off": ", ".join(short) or "none",
            "windows_without_a_count": len(alone),
        },
        description=told,
    )


def _drift_check(key: dg.AssetKey, done: Sequence[Ingested]) -> dg.AssetCheckResult:
    fields = sorted({name for entry in done if entry.manifest for name in entry.manifest.unknown_fields})
    values = sorted({name for entry in done if entry.manifest for name in entry.manifest.unknown_enum_values})
    mended = sorted({name for entry in done if entry.manifest for name in entry.manifest.mended_values})
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_DRIFT,
        passed=not fields and not values,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "unknown_fields": ", ".join(fields) or "none",
            "columns_with_unknown_values": ", ".join(values) or "none",
            "columns_with_respelled_values": ", ".join(mended) or "none",
        },
    )


def _kept_check(key: dg.AssetKey, done: Sequence[Ingested]) -> dg.AssetCheckResult:
    doubted = {entry.key: entry.held_back for entry in done if entry.held_back}
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_KEPT,
        passed=not doubted,
        metadata={"held_back": "; ".join(f"{window}: {why}" for window, why in doubted.items()) or "none"},
        description=(
            f"windows {', '.join(doubted)}: the next run that reads the same believes it; if it is right, materialise "
            f"them with the tag {keys.FEWER_ROWS_TAG}={keys.FEWER_ROWS_ACCEPTED}"
        )
        if doubted
        else None,
    )


def _quarantine_check(key: dg.AssetKey, done: Sequence[Ingested]) -> dg.AssetCheckResult:
    aside = {entry.key: entry.manifest.quarantined for entry in done if entry.manifest and entry.manifest.quarantined}
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_QUARANTINE,
        passed=not aside,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"records": sum(aside.values()), "windows": ", ".join(aside) or "none"},
    )


lake_assets = [lake_asset(contract) for contract in whole(load_contracts())]
