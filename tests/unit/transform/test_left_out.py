"""Which models wait when a stream did not land; who reads what is asked of the SQL, not of the manifest."""

import json
import re
from functools import cache
from typing import Any

import pytest

from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.transform.left_out import Plan, plan
from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, prepare_manifest

UNITING = {"dim_channel", "dim_date"}
_REF = re.compile(r"ref\(\s*'(\w+)'\s*\)")
_SOURCE = re.compile(r"source\(\s*'(\w+)',\s*'(\w+)'\s*\)")
STREAMS = pytest.mark.parametrize("contract", load_contracts(), ids=lambda one: f"{one.source}/{one.stream}")


@cache
def manifest() -> dict[str, Any]:
    return json.loads(prepare_manifest().read_bytes())


@cache
def sql() -> dict[str, str]:
    """The SQL of every model by its name, and of the macros it may read others through."""
    return {path.stem: path.read_text() for path in (DBT_PROJECT_DIR / "models").rglob("*.sql")}


def tables(contract: Contract) -> set[str]:
    return {f"raw_{contract.source}/{table.name}" for table in contract.tables}


def readers(datasets: set[str], stops: set[str]) -> set[str]:
    """Models that read any of these, directly or through a model that is not in `stops`."""
    found = {name for name, text in sql().items() if any("/".join(pair) in datasets for pair in _SOURCE.findall(text))}
    while True:
        more = {name for name, text in sql().items() if set(_REF.findall(text)) & (found - stops)} - found
        if not more:
            return found
        found |= more


def names(models: dict[str, frozenset[str]]) -> set[str]:
    return {name.rpartition(".")[2] for name in models}


@STREAMS
def test_what_reads_a_stream_that_did_not_land_waits_and_nothing_else(contract: Contract) -> None:
    found = plan(manifest(), tables(contract), set())
    reading = readers(tables(contract), UNITING)
    assert names(found.left_out) | names(found.built_without) == reading
    assert names(found.left_out) & UNITING == set()
    assert all(lacks <= tables(contract) for lacks in (*found.left_out.values(), *found.built_without.values()))


@STREAMS
def test_models_that_unite_sources_and_the_views_below_them_are_built_from_what_is_there(contract: Contract) -> None:
    found = plan(manifest(), tables(contract), set())
    built = names(found.built_without)
    assert built & UNITING == readers(tables(contract), UNITING) & UNITING
    assert all(name in UNITING or name.startswith(("stg_", "int_")) for name in built)
    # Whatever they read is there: built in an earlier run, by this one, or a view that is made for them.
    assert not {name for mart in built & UNITING for name in _REF.findall(sql()[mart])} & names(found.left_out)


@STREAMS
def test_nothing_is_built_from_what_a_blocking_check_found_wrong(contract: Contract) -> None:
    found = plan(manifest(), set(), tables(contract))
    assert found.built_without == {}
    assert names(found.left_out) == readers(tables(contract), set())


def test_no_stream_is_read_by_all_marts_and_only_the_list_of_deletions_by_none() -> None:
    every = {name for name in sql() if name.startswith(("dim_", "fct_", "agg_"))}
    reading = {f"{one.source}/{one.stream}": readers(tables(one), UNITING) & every for one in load_contracts()}
    assert all(models < every for models in reading.values())
    assert {name for name, models in reading.items() if not models} == {"chatwoot/deletions"}


def test_a_night_without_failures_leaves_nothing_out() -> None:
    assert plan(manifest(), set(), set()) == Plan()
