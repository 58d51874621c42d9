"""A kind of backup is one record, and whatever else names kinds names the same ones."""

import dataclasses
import re

import pytest

from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.kinds import KINDS, STANDING, registered
from hotdash_pipelines.operations.backup.tables import CatalogTable
from hotdash_pipelines.sla.observers import ages
from hotdash_pipelines.warehouse.migrations.files import VERSIONS

TABLES = [
    CatalogTable("agent", "facts", False, "id", [1], 1),
    CatalogTable("raw_shopify", "orders", False, "id", [2], 2),
    CatalogTable("ops", "incidents", False, "id", [3], 3),
]


def test_what_the_database_and_the_sla_on_backups_name_are_these_kinds() -> None:
    constraint = re.search(
        r"scope text not null check \(scope in \((.*?)\)\)", (VERSIONS / "0008_operations.sql").read_text()
    )
    assert constraint
    assert re.findall(r"'(\w+)'", constraint[1]) == list(KINDS)
    named = re.findall(r"scope in \((.*?)\)", ages._BACKUPS)
    assert [re.findall(r"'(\w+)'", part) for part in named] == [list(STANDING)] * 2


def test_a_kind_that_is_there_twice_or_by_half_is_refused() -> None:
    whole = KINDS["full"]
    with pytest.raises(ValueError, match="stands there twice"):
        registered(whole, dataclasses.replace(whole, is_whole=False))
    for half in ({"name": ""}, {"tables": None}, {"options": None}):
        with pytest.raises(ValueError, match="lacks a part"):
            registered(dataclasses.replace(whole, **half))


@pytest.mark.parametrize(
    ("scope", "oids", "options"),
    [
        ("operational", [1, 3], ["-B", "--no-publications", '--exclude-schema="raw_shopify"']),
        ("full", [1, 2, 3], []),
        ("tables", [1], ['--table="agent"."facts"']),
    ],
)
def test_each_kind_chooses_its_tables_and_tells_pg_dump_so(scope: str, oids: list[int], options: list[str]) -> None:
    chosen = KINDS[scope].tables(TABLES, ["fa*"])
    assert [table.oid for table in chosen] == oids
    assert KINDS[scope].options(chosen, ["raw_shopify"]) == options


def test_a_pattern_that_meets_nothing_is_a_slip() -> None:
    for patterns in ([], ["nothing*"]):
        with pytest.raises(BackupError):
            KINDS["tables"].tables(TABLES, patterns)
