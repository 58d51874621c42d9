"""The benchmark's pages and rows: they must be what the contract takes, or the measurement compares nothing."""

from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from benchmarks.orders import read_pages, size_of, write_pages
from benchmarks.paths import orders_contract
from benchmarks.peers import flatten, typed
from hotdash_pipelines.contracts.arrow import table_schema
from hotdash_pipelines.contracts.parse import parse_pages

ORDERS = 600


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_pages(folder, ORDERS)
    return folder


def test_the_same_seed_gives_the_same_pages_and_another_seed_others(pages: Path, tmp_path: Path) -> None:
    write_pages(tmp_path / "again", ORDERS)
    write_pages(tmp_path / "other", ORDERS, seed=8)
    assert list(read_pages(tmp_path / "again")) == list(read_pages(pages))
    assert list(read_pages(tmp_path / "other")) != list(read_pages(pages))


def test_pages_are_made_once(pages: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in pages.iterdir()}
    write_pages(pages, ORDERS)
    assert {path: path.stat().st_mtime_ns for path in pages.iterdir()} == before
    assert size_of(pages) > 1000 * ORDERS


def test_the_contract_takes_every_page_and_knows_every_field(pages: Path) -> None:
    parsed = parse_pages(orders_contract(), list(read_pages(pages)))
    assert (parsed.bad_pages, parsed.unknown_fields, parsed.unknown_enum_values) == ([], {}, {})


def test_the_totals_are_those_of_the_pages(pages: Path) -> None:
    totals = write_pages(pages, ORDERS)
    tables = parse_pages(orders_contract(), list(read_pages(pages))).tables
    assert totals.orders == tables["orders"].num_rows == ORDERS
    assert totals.lines == tables["order_lines"].num_rows
    assert totals.refunds == tables["refunds"].num_rows > 0
    assert Decimal(totals.sales) / 100 == pc.sum(tables["orders"]["total_amount"]).as_py()
    assert Decimal(totals.gross) / 100 == pc.sum(tables["order_lines"]["gross_amount"]).as_py()


def test_the_rows_given_to_the_peers_are_those_of_the_contract(pages: Path) -> None:
    contract = orders_contract()
    parsed = parse_pages(contract, list(read_pages(pages))).tables
    flat: dict[str, list] = {table.name: [] for table in contract.tables}
    for page in read_pages(pages):
        for name, rows in flatten(page).items():
            flat[name].extend(rows)
    for table in contract.tables:
        found, wanted = typed(flat[table.name], table_schema(contract, table)), parsed[table.name]
        assert found.column_names == wanted.column_names
        plain = [name for name in wanted.column_names if not name.startswith(("tags", "discount_codes"))]
        assert found.select(plain).to_pydict() == wanted.select(plain).to_pydict()
