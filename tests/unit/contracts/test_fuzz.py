"""Every field of every contract through null, absent, other types, extremes and hostile text.

Whatever comes ends landed or set aside by name; its neighbours land.
"""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hotdash_pipelines.contracts import Contract, Field, Table, load_contracts
from hotdash_pipelines.contracts.parse import parse_pages
from tests.hostile import VALUES, fields_of, page_of

FIELDS = [
    pytest.param(contract, table, field, id=f"{contract.source}/{contract.stream}.{table.name}.{field.name}")
    for contract in load_contracts()
    for table, field in fields_of(contract)
    if field.scope == "record"
]
PAGE_FIELDS = [
    pytest.param(contract, field, id=f"{contract.source}/{contract.stream}.{field.name}")
    for contract in load_contracts()
    for _, field in fields_of(contract)
    if field.scope == "page"
]


@pytest.mark.parametrize(("contract", "table", "field"), FIELDS)
def test_hostile_values_end_landed_or_set_aside_and_stop_no_neighbour(
    contract: Contract, table: Table, field: Field
) -> None:
    parsed = parse_pages(contract, [page_of(contract, table, field)])
    assert not parsed.bad_pages
    assert parsed.arrived == len(VALUES) + 2
    main = parsed.tables[contract.table.name]
    first, last = main.slice(0, 1).to_pylist()[0], main.slice(main.num_rows - 1).to_pylist()[0]
    for neighbour in (first, last):
        assert None not in [neighbour[name] for name in contract.table.key]
    for rejected in parsed.rejected:
        assert rejected.reason.partition(" ")[0].rstrip(":").partition(".")[0] in {t.name for t in contract.tables}
        assert "drop table" not in rejected.reason
        json.loads(rejected.record, parse_int=str)
    for rows in parsed.tables.values():
        _is_storable(rows)


@pytest.mark.parametrize(("contract", "field"), PAGE_FIELDS)
def test_a_hostile_value_of_a_whole_page_costs_that_page_alone(contract: Contract, field: Field) -> None:
    def report(value: bytes, campaign: int) -> bytes:
        first, second = str(field.path).split(".")
        dimensions = [{"value": "20250301"}] + [{"value": f"x{campaign}"}] * 5
        row = {"dimensionValues": dimensions, "metricValues": [{"value": "1"}] * 7}
        return json.dumps({"rows": [row], first: {second: "@"}}).encode().replace(b'"@"', value)

    values = [value for value in VALUES if value != b"absent"]
    pages = [report(value, number) for number, value in enumerate(values)]
    parsed = parse_pages(contract, [report(b"null", 1000), *pages, report(b"null", 1001)])
    assert parsed.arrived + len(parsed.bad_pages) == len(pages) + 2
    assert all(0 < page.index <= len(pages) and field.name in page.reason for page in parsed.bad_pages)


def _is_storable(rows: pa.Table) -> None:
    """As Postgres and Python hold it."""
    rows.validate(full=True)
    for column in rows.columns:
        texts = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        if pa.types.is_string(texts.type):
            assert not pc.any(pc.match_substring(texts, "\x00")).as_py()
    # Python's own types refuse what is beyond the calendar.
    rows.to_pylist()
