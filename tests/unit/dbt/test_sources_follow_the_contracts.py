"""The committed dbt sources are those that the contracts make."""

from pathlib import Path

import yaml

from hotdash_pipelines.contracts.dbt_sources import render_sources, write_sources
from hotdash_pipelines.contracts.model import load_contracts

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_sources_are_current() -> None:
    for path, content in render_sources(load_contracts()).items():
        assert (ROOT / path).read_text(encoding="utf-8") == content, (
            f"{path}: run python -m hotdash_pipelines.contracts.dbt_sources"
        )


def test_every_raw_table_is_a_source_with_the_loaders_columns() -> None:
    tables = {}
    for content in render_sources(load_contracts()).values():
        for source in yaml.safe_load(content)["sources"]:
            assert source["schema"] == source["name"]
            tables |= {
                f"{source['name']}.{table['name']}": {column["name"] for column in table["columns"]}
                for table in source["tables"]
            }
    expected = {
        f"raw_{contract.source}.{table.name}": set(table.column_names)
        for contract in load_contracts()
        for table in contract.tables
    }
    assert tables == {
        name: columns | {"project_key", "_window", "_loaded_at", "_deleted_at"} for name, columns in expected.items()
    }


def test_personal_columns_are_marked() -> None:
    [orders] = [
        table
        for content in render_sources(load_contracts()).values()
        for source in yaml.safe_load(content)["sources"]
        for table in source["tables"]
        if table["name"] == "orders"
    ]
    email = next(column for column in orders["columns"] if column["name"] == "email")
    assert email["config"]["meta"]["pii"] == "email"


def test_the_order_of_the_contracts_does_not_matter() -> None:
    contracts = load_contracts()
    assert render_sources(contracts[::-1]) == render_sources(contracts)


def test_only_files_that_differ_are_written(tmp_path: Path) -> None:
    contracts = load_contracts()
    assert len(write_sources(tmp_path, contracts)) == len({contract.source for contract in contracts})
    assert write_sources(tmp_path, contracts) == []
    changed = next(iter(render_sources(contracts)))
    (tmp_path / changed).write_text("old", encoding="utf-8")
    assert write_sources(tmp_path, contracts) == [tmp_path / changed]
