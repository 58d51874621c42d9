"""What an analyst sees in the Dagster UI, asked over its GraphQL: lineage, runs, row counts, checks, who owns what."""

from typing import Any

import pytest

from tests.pipeline.harness.homes import Served

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("served"), pytest.mark.timeout(900)]

FROM, TO = "lake_shopify/orders", "metrics/agg_sales_daily"
# Written by the support agent and its reviewers: no run makes them.
EXTERNAL = "agent/"
# The steps that load tell of it.
OBSERVED = "ops/quarantined_records"
# Made by jobs of their own, at night.
OF_OTHER_JOBS = ("archive/", "backups/", "exports/", "ops/housekeeping")
NODES = """{ assetNodes {
  assetKey { path } groupName kinds description
  owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
  dependedByKeys { path }
  freshnessPolicy { maximumLagMinutes } internalFreshnessPolicy { __typename }
  assetMaterializations(limit: 1) {
    runId
    metadataEntries { label ... on IntMetadataEntry { intValue }
      ... on TableSchemaMetadataEntry { schema { columns { name type } } } } }
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status runId
    evaluation { success } } } } }
} }"""
RUNS = """{ runsOrError { ... on Runs { results { runId status jobName tags { key value }
  assets { key { path } } } } } }"""


def name_of(key: dict[str, Any]) -> str:
    return "/".join(key["path"])


@pytest.fixture(scope="module")
def nodes(served: Served) -> dict[str, dict[str, Any]]:
    """Every asset of the UI by its key."""
    return {name_of(node["assetKey"]): node for node in served.home.ask(NODES)["assetNodes"]}


@pytest.fixture(scope="module")
def run(served: Served) -> dict[str, Any]:
    """The one run of the first load; another job's hour may have come meanwhile."""
    (only,) = (run for run in served.home.ask(RUNS)["runsOrError"]["results"] if run["jobName"] == "nightly_job")
    return only


def downstream(nodes: dict[str, dict[str, Any]], start: str) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [name_of(key) for key in nodes[name]["dependedByKeys"]]
    return seen


def test_lineage_is_unbroken_from_the_lake_to_the_rollup(nodes: dict[str, dict[str, Any]]) -> None:
    reached = downstream(nodes, FROM)
    steps = ("raw_shopify/orders", "raw_shopify/order_lines", "staging/stg_shopify__orders", "marts_core/fct_order")
    assert {*steps, "marts_core/fct_order_line", TO} <= reached
    assert downstream(nodes, TO) == {TO}


def test_lineage_is_unbroken_from_the_agents_tables_to_their_rollup(nodes: dict[str, dict[str, Any]]) -> None:
    reached = downstream(nodes, "agent/agent_queries")
    steps = {"staging/stg_agent__queries", "marts_agent/fct_agent_query", "marts_support/dim_conversation"}
    assert {*steps, "marts_agent/dim_agent", "metrics/agg_agent_daily_performance"} <= reached
    assert "marts_agent/fct_approval" in downstream(nodes, "agent/agent_approvals")
    assert "marts_agent/fct_training" in downstream(nodes, "agent/agent_feedback")
    assert len([name for name in nodes if name.startswith(EXTERNAL)]) == 8


def test_lineage_leads_from_the_agents_tables_to_their_backup_archive_and_export(
    nodes: dict[str, dict[str, Any]],
) -> None:
    reached = downstream(nodes, "agent/agent_feedback")
    assert {"backups/operational", "archive/agent_feedback", "exports/training_data"} <= reached
    assert "archive/agent_queries_history" in downstream(nodes, "archive/agent_queries")
    assert "archive/agent_approvals" in downstream(nodes, "backups/operational")


def test_lineage_without_the_staging_model_would_be_broken(nodes: dict[str, dict[str, Any]]) -> None:
    cut = {name: {**node, "dependedByKeys": []} if name.startswith("raw_") else node for name, node in nodes.items()}
    assert TO not in downstream(cut, FROM)


def test_every_stream_reaches_a_model(nodes: dict[str, dict[str, Any]]) -> None:
    lake = [name for name in nodes if name.startswith("lake_")]
    assert len(lake) == 11
    assert [name for name in lake if not any(found.startswith("staging/") for found in downstream(nodes, name))] == []


def test_every_asset_shows_owner_group_kinds_description_and_freshness(nodes: dict[str, dict[str, Any]]) -> None:
    for name, node in nodes.items():
        assert node["owners"], name
        assert node["groupName"] not in (None, "default"), name
        assert node["kinds"], name
        assert node["description"], name
        assert node["internalFreshnessPolicy"], name
    groups = {node["groupName"] for node in nodes.values()}
    assert groups == {"agent", "shopify", "chatwoot", "ga4", "staging", "marts", "metrics", "operations"}


def test_the_run_is_visible_with_all_its_assets(nodes: dict[str, dict[str, Any]], run: dict[str, Any]) -> None:
    assert (run["status"], run["jobName"]) == ("SUCCESS", "nightly_job")
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]) == (
        "2026-03-05",
        "2026-03-10",
    )
    assert {name_of(asset["key"]) for asset in run["assets"]} == {
        name for name in nodes if not name.startswith((EXTERNAL, *OF_OTHER_JOBS))
    }


def test_every_materialisation_shows_its_rows_and_columns(
    served: Served, nodes: dict[str, dict[str, Any]], run: dict[str, Any]
) -> None:
    for name, node in nodes.items():
        if name.startswith((EXTERNAL, OBSERVED, *OF_OTHER_JOBS)):
            continue
        (latest,) = node["assetMaterializations"]
        assert latest["runId"] == run["runId"], name
        entries = {entry["label"]: entry for entry in latest["metadataEntries"]}
        # The newest partition of a date or a listing is today's, of which there is none yet.
        if "dagster/row_count" in entries or not name.startswith("raw_"):
            assert entries["dagster/row_count"]["intValue"] == served.outcome["assets"][name], name
        if name.split("/")[0] in ("staging", "intermediate", "metrics") or name.startswith("marts_"):
            columns = entries["dagster/column_schema"]["schema"]["columns"]
            assert len(columns) > 3, name
            assert all(column["type"] for column in columns), name


def test_every_check_shows_that_it_ran_and_passed(
    served: Served, nodes: dict[str, dict[str, Any]], run: dict[str, Any]
) -> None:
    executions = [
        (name, check["name"], check["executionForLatestMaterialization"])
        for name, node in nodes.items()
        if not name.startswith(OF_OTHER_JOBS)
        for check in node["assetChecksOrError"].get("checks", ())
        # Verdicts of SLAs come from their sensor, not from the run.
        if not check["name"].startswith("sla_")
    ]
    assert [(name, check) for name, check, execution in executions if execution is None] == []
    assert {execution["runId"] for _, _, execution in executions} == {run["runId"]}
    assert [(name, check) for name, check, execution in executions if not execution["evaluation"]["success"]] == []
    passed = [execution for _, _, execution in executions if execution["evaluation"]["success"]]
    assert len(passed) == served.outcome["checks"]["passed"] == len(executions)
