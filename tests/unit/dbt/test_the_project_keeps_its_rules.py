"""Rules over dbt's manifest: names, layers, documentation, keys, contracts and the way tables are rebuilt."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.contracts.model import load_contracts
from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR
from tests.dbt_parse import parsed_project

OWNERS = {"team:data", "team:support", "team:marketing"}
STAR = {
    "marts_core.dim_project",
    "marts_core.dim_date",
    "marts_core.dim_customer",
    "marts_core.dim_product_variant",
    "marts_core.dim_channel",
    "marts_core.fct_sale",
    "marts_core.fct_refund_line",
    "marts_core.fct_order_line",
    "marts_core.fct_order",
    "marts_core.fct_web_sessions_daily",
    "marts_support.dim_conversation",
    "marts_support.fct_conversation",
    "marts_agent.dim_agent",
    "marts_agent.dim_user",
    "marts_agent.fct_agent_query",
    "marts_agent.fct_approval",
    "marts_agent.fct_decision_event",
    "marts_agent.fct_training",
    "metrics.agg_agent_daily_performance",
    "metrics.agg_sales_daily",
}
# Rows of their sources are purged, so a full rebuild must not empty them.
OUTLIVE_THEIR_SOURCES = {"fct_agent_query", "fct_approval", "fct_decision_event", "fct_training"}
AGENT_STAGING = {
    f"stg_agent__{entity}"
    for entity in ("approvals", "curated_replies", "decision_events", "facts", "feedback", "queries")
}
FOREIGN_KEYS = {
    "customer_key",
    "product_variant_key",
    "channel_key",
    "date_key",
    "agent_key",
    "user_key",
    "conversation_key",
}
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifest(session_home: Path) -> Manifest:
    """The manifest of a `dbt parse` without any variable of ours in the environment."""
    return json.loads((parsed_project(session_home) / "manifest.json").read_text())


def models(manifest: Manifest) -> list[dict[str, Any]]:
    """Every model."""
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def marts(manifest: Manifest) -> list[dict[str, Any]]:
    """Models that others read: dimensions, facts and metrics."""
    return [node for node in models(manifest) if node["fqn"][1] in ("marts", "metrics")]


def data_tests_of(manifest: Manifest, model: dict[str, Any]) -> list[dict[str, Any]]:
    """Data tests attached to a model."""
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["attached_node"] == model["unique_id"]
    ]


def test_the_star_has_its_tables_under_their_names(manifest: Manifest) -> None:
    assert {f"{node['schema']}.{node['name']}" for node in marts(manifest)} == STAR


def test_every_raw_table_has_a_staging_model(manifest: Manifest) -> None:
    names = {node["name"] for node in models(manifest) if node["fqn"][1] == "staging"}
    assert names == {"stg_ops__projects", "stg_ops__stream_days"} | AGENT_STAGING | {
        f"stg_{contract.source}__{table.name}" for contract in load_contracts() for table in contract.tables
    }


def test_names_tell_the_layer(manifest: Manifest) -> None:
    pattern = {
        "staging": r"stg_[a-z0-9]+__[a-z_]+$",
        "intermediate": r"int_[a-z_]+__[a-z_]+$",
        "marts": r"(dim|fct)_",
        "metrics": r"(agg|kpi)_",
    }
    for node in models(manifest):
        assert re.match(pattern[node["fqn"][1]], node["name"]), node["name"]


def test_every_model_has_description_owner_grain_and_a_test_of_its_key(manifest: Manifest) -> None:
    for node in models(manifest):
        meta = node["config"]["meta"]
        assert node["description"].strip(), node["name"]
        assert meta["grain"], node["name"]
        assert meta["owner"] in OWNERS, node["name"]
        assert meta["dagster"]["owners"] == [meta["owner"]], node["name"]
        assert meta["dagster"]["group"] in ("staging", "marts", "metrics"), node["name"]
        keys = [
            test["test_metadata"]["kwargs"]["columns"]
            for test in data_tests_of(manifest, node)
            if test["test_metadata"]["name"] == "unique_combination"
        ]
        grain = meta["grain"].split(", ")
        # The grain names the parts of a channel, its key stands for them.
        assert [set(key) for key in keys] in ([set(grain)], [{"project_key", "channel_key"}]), node["name"]


def test_sources_are_read_by_staging_alone_and_staging_reads_nothing_else(manifest: Manifest) -> None:
    for node in models(manifest):
        parents = node["depends_on"]["nodes"]
        if node["fqn"][1] == "staging":
            assert all(parent.startswith("source.") or parent.endswith("stg_ops__projects") for parent in parents), (
                node["name"]
            )
        else:
            assert not any(parent.startswith("source.") for parent in parents), node["name"]


def test_marts_are_under_contract_and_describe_every_column(manifest: Manifest) -> None:
    for node in marts(manifest):
        assert node["config"]["contract"]["enforced"], node["name"]
        assert [
            name for name, column in node["columns"].items() if not column["description"] or not column["data_type"]
        ] == [], node["name"]


def test_marts_are_never_swapped(manifest: Manifest) -> None:
    for node in marts(manifest):
        config = node["config"]
        assert config["materialized"] == "incremental", node["name"]
        assert config["full_refresh"] is False, node["name"]
        assert any("truncate_on_rebuild" in hook["sql"] for hook in config["pre-hook"]), node["name"]


def test_every_daily_mart_says_whether_its_days_are_whole(manifest: Manifest) -> None:
    daily = [node for node in marts(manifest) if "_daily" in node["name"]]
    assert len(daily) >= 3
    for node in daily:
        assert {"is_complete", "as_of", "incomplete_reason"} <= node["columns"].keys(), node["name"]


def test_the_store_is_part_of_every_key_and_index(manifest: Manifest) -> None:
    for node in marts(manifest):
        if node["name"] == "dim_date":
            continue
        key = node["config"]["unique_key"]
        assert key[0] == "project_key", node["name"]
        assert all(
            index["columns"][0] == "project_key"
            for index in node["config"]["indexes"]
            if index["columns"] != ["_loaded_at"]
        ), node["name"]


def test_every_foreign_key_is_tested_within_its_store(manifest: Manifest) -> None:
    for node in marts(manifest):
        if not node["name"].startswith(("fct_", "agg_")):
            continue
        tested = {
            test["test_metadata"]["kwargs"]["column_name"]
            for test in data_tests_of(manifest, node)
            if test["test_metadata"]["name"] in ("relationships_tenant", "relationships")
        }
        tested |= {
            key["column"]
            for test in data_tests_of(manifest, node)
            if test["test_metadata"]["name"] == "foreign_keys_exist"
            for key in test["test_metadata"]["kwargs"]["keys"]
        }
        assert FOREIGN_KEYS & node["columns"].keys() <= tested | {own_key(node)}, node["name"]


def own_key(node: dict[str, Any]) -> str:
    """The column in which a fact keeps its own key: `fct_conversation` has `conversation_key`."""
    return node["name"].removeprefix("fct_") + "_key"


def test_facts_of_the_agent_outlive_the_rows_of_their_sources(manifest: Manifest) -> None:
    kept = {node["name"] for node in marts(manifest) if node["config"]["meta"].get("outlives_its_source")}
    assert kept == OUTLIVE_THEIR_SOURCES
    for node in marts(manifest):
        reads_agent = any(".stg_agent__" in parent for parent in node["depends_on"]["nodes"])
        # Only replies that nobody purges may be read by anything else.
        if reads_agent and node["name"] not in kept:
            agents = {parent for parent in node["depends_on"]["nodes"] if ".stg_agent__" in parent}
            assert agents == {"model.hotdash.stg_agent__curated_replies"}, node["name"]


def test_money_is_numeric_and_time_has_a_zone(manifest: Manifest) -> None:
    for node in marts(manifest):
        for name, column in node["columns"].items():
            expected = (
                "numeric(18,4)"
                if name.endswith("_amount")
                else "timestamptz"
                if name.endswith("_at")
                else column["data_type"]
            )
            assert column["data_type"] == expected, f"{node['name']}.{name}"
            assert column["data_type"] not in ("double precision", "real", "float", "timestamp"), (
                f"{node['name']}.{name}"
            )


def test_no_column_of_a_mart_may_hold_an_address_or_a_name(manifest: Manifest) -> None:
    for node in marts(manifest):
        assert not {"email", "phone", "first_name", "last_name", "contact_name"} & node["columns"].keys(), node["name"]


def test_data_tests_have_names_that_read_as_statements(manifest: Manifest) -> None:
    names = [node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    assert len(names) == len(set(names))
    assert all("_" in name and len(name) <= 63 and not re.search(r"[0-9a-f]{10}$", name) for name in names)


def test_no_package_is_needed() -> None:
    assert not [
        name for name in ("packages.yml", "dependencies.yml", "package-lock.yml") if (DBT_PROJECT_DIR / name).exists()
    ]
