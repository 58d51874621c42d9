"""dbt's models as assets and its tests as asset checks: staging -> marts -> metrics in one dbt run.

Belongs here: how dbt's project looks in Dagster. Does not belong here: SQL (dbt_project/).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtProject,
    dbt_assets,
)
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.blast_radius import BUILT_WITHOUT, Failures, failures_so_far, left_out
from hotdash_pipelines.orchestration.check_results import finding_of, keep
from hotdash_pipelines.orchestration.failures import dbt_failure
from hotdash_pipelines.orchestration.metadata import column_schema
from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, WarehouseDbt, WarehouseResource
from hotdash_pipelines.quality.dimensions import dimension_of_dbt_test
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.transform.left_out import Plan, plan
from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, prepare_manifest

_COLUMNS = """
select attname, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = %(name)s::regclass and attnum > 0 and not attisdropped order by attnum
"""
# The night starts at 04:00; anything older than a night and two hours is late.
LATE_AFTER = timedelta(hours=26)


class WarehouseTranslator(DagsterDbtTranslator):
    """Group, owner, columns and freshness of a model, each answered by one small method."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The folder directly below models/; sources keep their own."""
        if dbt_resource_props["resource_type"] == "source":
            return None
        folder = dbt_resource_props["fqn"][1]
        return folder if folder in keys.TRANSFORM_GROUPS else "staging"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """`meta.owner` of the model, else the data team."""
        if dbt_resource_props["resource_type"] == "source":
            return []
        meta = {**dbt_resource_props.get("meta", {}), **dbt_resource_props.get("config", {}).get("meta", {})}
        return [str(meta.get("owner", keys.TEAM_DATA))]

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What the model's YAML says, without the SQL."""
        return dbt_resource_props.get("description", "")

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """dagster-dbt's metadata, with columns from the YAML and a link to the documentation."""
        metadata = dict(super().get_metadata(dbt_resource_props))
        columns = dbt_resource_props.get("columns", {}).values()
        metadata["dagster/column_schema"] = column_schema(
            _described(column["name"], column.get("data_type") or "", column) for column in columns
        )
        metadata["runbook"] = dg.MetadataValue.url(f"{get_settings().runbook_base_url}/runbooks/run-failed.md")
        return metadata

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The spec with a freshness policy; sources belong to the loader's own assets."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("source.") or spec.freshness_policy is not None:
            return spec
        spec = spec.replace_attributes(freshness_policy=dg.FreshnessPolicy.time_window(fail_window=LATE_AFTER))
        self._resolved_specs[(id(manifest), unique_id, id(project))] = spec
        return spec

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The check with its dimension. Raises DimensionError for a test of a kind that no dimension knows."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        dimension = dimension_of_dbt_test(manifest["nodes"][unique_id])
        return spec.with_metadata({**spec.metadata, "dimension": dimension.name})


def _is_required(column: Mapping[str, Any]) -> bool:
    return any(constraint.get("type") == "not_null" for constraint in column.get("constraints", []))


def _tags(column: Mapping[str, Any]) -> dict[str, str]:
    meta = {**column.get("meta", {}), **column.get("config", {}).get("meta", {})}
    return {"pii": str(meta["pii"])} if meta.get("pii") else {}


def _described(name: str, kind: str, column: Mapping[str, Any]) -> tuple[str, str, str, bool, Mapping[str, str]]:
    """A column as the UI shows it; `column` is what the project's YAML says of it."""
    return name, kind, column.get("description", ""), not _is_required(column), _tags(column)


class _Built:
    """What is worth seeing of freshly built models, read on one connection that opens when it is first needed."""

    def __init__(self, warehouse: WarehouseResource, manifest: Mapping[str, Any]) -> None:
        self._warehouse, self._manifest = warehouse, manifest

    @cached_property
    def _connection(self) -> Any:
        from hotdash_pipelines.warehouse.postgres import connect

        return connect(self._warehouse.url(), autocommit=True)

    def facts(self, unique_id: str) -> dict[str, Any]:
        """Rows of the model's table or view, and its columns with the types that Postgres gave them."""
        from psycopg import sql

        node = self._manifest["nodes"][unique_id]
        name = sql.Identifier(node["schema"], node["alias"])
        (rows,) = self._connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
        columns = self._connection.execute(_COLUMNS, {"name": name.as_string(self._connection)}).fetchall()
        described = node.get("columns", {})
        return {
            "dagster/row_count": rows,
            "dagster/column_schema": column_schema(
                _described(column, kind, described.get(column, {})) for column, kind in columns
            ),
        }

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.close()


def _results(invocation: DbtCliInvocation) -> Sequence[Mapping[str, Any]]:
    try:
        return invocation.get_artifact("run_results.json")["results"]
    except FileNotFoundError:
        # dbt ended before it ran anything.
        return []


_MANIFEST = prepare_manifest()


@dbt_assets(
    manifest=_MANIFEST,
    dagster_dbt_translator=WarehouseTranslator(
        settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True)
    ),
    project=DbtProject(project_dir=DBT_PROJECT_DIR, profiles_dir=DBT_PROJECT_DIR),
    name="dbt_models",
    pool=keys.WAREHOUSE_POOL,
)
def dbt_models(
    context: dg.AssetExecutionContext,
    dbt: WarehouseDbt,
    warehouse: WarehouseResource,
    project: ProjectResource,
    clock: ClockResource,
) -> Iterator[Any]:
    """Build every selected model and run its tests; unit tests run in `make test`, not every night.

    A model that reads what did not land in this run is left out and keeps its last state; the others are built.
    """
    step = context.op_execution_context
    failures = failures_so_far(step)
    manifest = json.loads(_MANIFEST.read_bytes()) if failures.reasons else {}
    planned = plan(manifest, failures.missing, failures.bad) if manifest else Plan()
    yield from _observations(step, manifest, planned, failures)
    invocation = dbt.cli(["build", "--exclude-resource-type", "unit_test", *_without(planned)], context=context)
    specs = {(str(spec.asset_key), spec.name): spec for spec in context.assets_def.check_specs}
    built = _Built(warehouse, invocation.manifest)
    findings = []
    try:
        for event in invocation.stream():
            if isinstance(event, dg.Output):
                unique_id = str(event.metadata["unique_id"].value)
                lacks = planned.built_without.get(unique_id)
                note = {BUILT_WITHOUT: ", ".join(sorted(lacks))} if lacks else {}
                yield event.with_metadata({**event.metadata, **built.facts(unique_id), **note})
                reach("dbt.model_built")
                continue
            if isinstance(event, dg.AssetCheckResult | dg.AssetCheckEvaluation):
                findings.append(finding_of(event, specs[str(event.asset_key), str(event.check_name)], "dbt"))
            yield event
    except DagsterDbtCliRuntimeError as error:
        raise dg.Failure(dbt_failure(_results(invocation)), allow_retries=False) from error
    finally:
        built.close()
        keep(warehouse.url(), findings, project.key(), context.run_id, clock.now())


def _without(planned: Plan) -> list[str]:
    names = [name.rpartition(".")[2] for name in sorted(planned.left_out)]
    return ["--exclude", " ".join(names)] if names else []


def _observations(
    step: dg.OpExecutionContext, manifest: Mapping[str, Any], planned: Plan, failures: Failures
) -> Iterator[dg.AssetObservation]:
    """For each model that is left out: why, and of when the state is that it keeps."""
    for unique_id, lacks in sorted(planned.left_out.items()):
        node = manifest["nodes"][unique_id]
        key = dg.AssetKey([node["schema"], node["alias"]])
        if key in step.job_def.asset_layer.selected_asset_keys:
            yield left_out(step.instance, key, {failures.reasons[dataset] for dataset in lacks})
