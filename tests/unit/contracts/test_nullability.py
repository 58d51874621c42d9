"""What a contract requires, Shopify promises: nullability against the published schema, field by field."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_non_null_type,
)

from hotdash_pipelines import demo
from hotdash_pipelines.contracts import Contract, Table, load_contracts
from hotdash_pipelines.contracts.arrow import steps

SHOPIFY = [contract for contract in load_contracts() if contract.source == "shopify"]
# The client works these out of the parts of a line and always sends them.
CLIENTS_OWN = ("lineTotals", "charges")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The subset that was derived from Shopify's introspection."""
    path = Path(str(demo.__file__)).parent / "shopify" / "admin_2026_10.graphql"
    return build_schema(path.read_text(encoding="utf-8"), assume_valid=True)


def _follow(schema: GraphQLSchema, of: GraphQLObjectType, path: str) -> tuple[GraphQLObjectType, bool]:
    """The type at a path, and whether Shopify may send null there or on the way."""
    may_be_null = False
    for step in steps(path):
        # What only some kinds of an interface have is null for the others.
        fields = of.fields if step.name in of.fields else _of_some(schema, of, step.name)
        may_be_null = may_be_null or fields is not of.fields
        kind = fields[step.name].type
        may_be_null = may_be_null or not is_non_null_type(kind)
        of = get_named_type(kind)
    return of, may_be_null


def _of_some(schema: GraphQLSchema, of: GraphQLObjectType, name: str) -> dict[str, GraphQLField]:
    """The fields of the first type that has the field, of those that an interface stands for."""
    assert isinstance(of, GraphQLInterfaceType), f"{of.name} has no {name}"
    return next(one.fields for one in schema.get_implementations(of).objects if name in one.fields)


def _tables(
    schema: GraphQLSchema, table: Table, of: GraphQLObjectType
) -> Iterator[tuple[Table, GraphQLObjectType, bool]]:
    kind, may_be_null = _follow(schema, of, table.records.removeprefix("data."))
    yield table, kind, may_be_null
    for child in table.children:
        yield from _tables(schema, child, kind)


@pytest.mark.parametrize("contract", SHOPIFY, ids=lambda contract: contract.stream)
def test_nothing_is_required_that_shopify_may_leave_out(contract: Contract, schema: GraphQLSchema) -> None:
    assert schema.query_type
    required, looked_at = [], 0
    for table, kind, list_may_be_null in _tables(schema, contract.table, schema.query_type):
        assert table.records_optional or not list_may_be_null
        for column in table.fields:
            if column.path is None or column.path.startswith(CLIENTS_OWN):
                continue
            looked_at += 1
            may_be_null = _follow(schema, kind, column.path)[1]
            if may_be_null and not column.nullable and not column.fallback and column.name not in table.key:
                required.append(f"{table.name}.{column.name}")
    assert looked_at > 10
    assert required == []


def test_a_null_in_a_field_that_shopify_calls_nullable_is_noticed(schema: GraphQLSchema) -> None:
    """The three that once stopped a day of orders."""
    order = schema.type_map["Order"]
    assert isinstance(order, GraphQLObjectType)
    for name in ("subtotalPriceSet", "totalDiscountsSet", "totalTaxSet"):
        assert _follow(schema, order, f"{name}.shopMoney.amount")[1]
    assert not _follow(schema, order, "totalPriceSet.shopMoney.amount")[1]
