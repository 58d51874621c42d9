"""The queries of Shopify ask for what the contracts name: nothing less, nothing more, nothing Shopify does not have."""

from collections.abc import Iterator
from importlib.resources import files
from types import SimpleNamespace

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    get_named_type,
    parse,
    validate,
)

from hotdash_pipelines.contracts import Table, load_contract
from hotdash_pipelines.contracts.model import CONTRACTS_DIR
from hotdash_pipelines.sources.shopify import agreements, streams
from hotdash_pipelines.sources.shopify.counts import count_query
from hotdash_pipelines.sources.shopify.scopes import SCOPES_QUERY
from hotdash_pipelines.sources.shopify.sweeps import there_query

CONNECTIONS = {
    "orders": streams.ORDERS_CONNECTION,
    "customers": streams.CUSTOMERS_CONNECTION,
    "products": streams.PRODUCTS_CONNECTION,
}
QUERIES = {
    connection.operation: connection.query for connection in CONNECTIONS.values()
} | {
    connection.count_operation: connection.count_query for connection in CONNECTIONS.values()
} | {
    connection.ids_operation: connection.ids_query for connection in CONNECTIONS.values()
} | {
    nested.operation: nested.query for connection in CONNECTIONS.values() for nested in connection.nested
} | {
    agreements.ONE_AGREEMENT.operation: agreements.ONE_AGREEMENT.query,
    "AccessScopes": SCOPES_QUERY,
    "OrdersCountByDay": count_query("OrdersCountByDay", "ordersCount", 3),
    "CustomersCountByDay": count_query("CustomersCountByDay", "customersCount", 3),
    "OrderIdSweep": streams.ORDER_SWEEP.listing.query,
    "CustomerIdSweep": streams.CUSTOMER_SWEEP.listing.query,
    "OrdersThere": there_query("OrdersThere", "order", 3),
    "CustomersThere": there_query("CustomersThere", "customer", 3),
}  # fmt: skip
# What the client sums up, and the list it sums.
_LINE = "lineItems.nodes"
SUMMED = {
    f"{_LINE}.lineTotals.taxAmount": f"{_LINE}.taxLines.priceSet.shopMoney.amount",
    f"{_LINE}.lineTotals.discountAmount": f"{_LINE}.discountAllocations.allocatedAmountSet.shopMoney.amount",
    "refunds.charges.shippingAmount": "refunds.refundShippingLines.nodes.subtotalAmountSet.shopMoney.amount",
    "refunds.charges.shippingTaxAmount": "refunds.refundShippingLines.nodes.taxAmountSet.shopMoney.amount",
    "refunds.charges.dutyAmount": "refunds.duties.amountSet.shopMoney.amount",
    "refunds.charges.roundingAmount": "refunds.transactions.nodes.amountRoundingSet.shopMoney.amount",
}
# What the client looks at before it sums.
LOOKED_AT = {"refunds.transactions.nodes.kind", "refunds.transactions.nodes.status"}
# Lists that the client reads on in its own way, together.
READ_TOGETHER = {("agreements",), ("agreements", "sales")}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    sdl = files("hotdash_pipelines.demo.shopify").joinpath("admin_2026_10.graphql").read_text(encoding="utf-8")
    return build_schema(sdl)


def leaves(document: DocumentNode, selections: SelectionSetNode, prefix: str = "") -> Iterator[str]:
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    for node in selections.selections:
        if isinstance(node, FragmentSpreadNode):
            yield from leaves(document, fragments[node.name.value].selection_set, prefix)
        elif isinstance(node, InlineFragmentNode):
            yield from leaves(document, node.selection_set, prefix)
        elif isinstance(node, FieldNode) and node.name.value != "pageInfo":
            path = f"{prefix}{node.name.value}"
            if node.selection_set is None:
                yield path
            else:
                yield from leaves(document, node.selection_set, f"{path}.")


def asked(query: str) -> list[str]:
    document = parse(query)
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return list(dict.fromkeys(leaves(document, operation.selection_set)))


def named(table: Table, prefix: str = "") -> Iterator[str]:
    yield from (f"{prefix}{field.path}" for field in table.fields)
    for child in table.children:
        yield from named(child, f"{prefix}{child.records}.")


def contract_paths(stream: str) -> set[str]:
    return set(named(load_contract(CONTRACTS_DIR / "shopify" / f"{stream}.yaml").table))


@pytest.mark.parametrize("stream", CONNECTIONS)
def test_a_page_query_asks_for_exactly_what_the_contract_names(stream):
    root = f"{CONNECTIONS[stream].root}.nodes."
    wanted = {SUMMED.get(path, path) for path in contract_paths(stream)}
    assert {path.removeprefix(root) for path in asked(CONNECTIONS[stream].query)} - LOOKED_AT == wanted


def test_every_summed_path_is_in_the_contract():
    assert set(SUMMED) <= contract_paths("orders")


@pytest.mark.parametrize("stream", ["orders", "customers"])
def test_without_personal_fields_a_query_asks_for_all_but_those_marked_personal(stream):
    personal = {"email", "phone", "name", "address"}
    table = load_contract(CONTRACTS_DIR / "shopify" / f"{stream}.yaml").table
    roots = {field.path.split(".")[0] for field in table.fields if field.pii in personal}
    connection = CONNECTIONS[stream]
    left = streams.as_allowed(SimpleNamespace(personal_fields=False), connection)
    gone = {path for path in asked(connection.query) if path.split(".")[2] in roots}
    assert set(asked(left.query)) == set(asked(connection.query)) - gone
    assert gone
    assert streams.as_allowed(SimpleNamespace(personal_fields=True), connection) is connection


def test_the_comparison_sees_a_field_too_many_and_one_too_few():
    more = streams.CUSTOMERS.replace("firstName", "firstName note")
    fewer = streams.CUSTOMERS.replace("firstName", "")
    exact = set(asked(streams.CUSTOMERS))
    assert set(asked(more)) - exact == {"customers.nodes.note"}
    assert exact - set(asked(fewer)) == {"customers.nodes.firstName"}


@pytest.mark.parametrize(
    ("connection", "position"),
    [(one, position) for one in CONNECTIONS.values() for position in range(len(one.nested))],
)
def test_a_follow_up_query_asks_for_the_same_fields_as_the_page(connection, position):
    follow_up = connection.nested[position]
    start = ".".join((connection.root, "nodes", *follow_up.owners, ""))
    page = {
        path.removeprefix(start) for path in asked(connection.query) if path.startswith(f"{start}{follow_up.name}.")
    }
    assert {path.removeprefix(f"{follow_up.root}.") for path in asked(follow_up.query)} == page


def test_agreements_read_one_by_one_are_asked_for_the_same_fields():
    page = {path.removeprefix("orders.nodes.") for path in asked(streams.ORDERS) if ".agreements." in path}
    assert {path.removeprefix("order.") for path in asked(agreements.ONE_AGREEMENT.query)} == page


@pytest.mark.parametrize("operation", QUERIES)
def test_a_query_is_valid_against_the_published_schema(schema, operation):
    document = parse(QUERIES[operation])
    assert validate(schema, document) == []
    (node,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    assert node.name.value == operation


def test_validation_would_see_a_field_that_shopify_does_not_have(schema):
    assert validate(schema, parse(streams.ORDERS.replace("taxLines", "totalTaxSet")))


@pytest.mark.parametrize("operation", QUERIES)
def test_no_query_uses_a_deprecated_field(schema, operation):
    from graphql import TypeInfo, TypeInfoVisitor, Visitor, visit

    unknown = []
    info = TypeInfo(schema)

    class Deprecations(Visitor):
        def enter_field(self, node, *_):
            definition = info.get_field_def()
            if definition is not None and definition.deprecation_reason:
                unknown.append(node.name.value)

    visit(parse(QUERIES[operation]), TypeInfoVisitor(info, Deprecations()))
    assert unknown == []


@pytest.mark.parametrize("stream", CONNECTIONS)
def test_every_connection_in_a_query_asks_whether_it_goes_on(schema, stream):
    """Each nested connection is paged: it selects pageInfo, and the client knows how to read on."""
    document = parse(CONNECTIONS[stream].query)
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    paged: set[tuple[str, ...]] = set()

    def search(selections, type_, path):
        for node in selections.selections:
            if isinstance(node, FragmentSpreadNode):
                search(fragments[node.name.value].selection_set, type_, path)
            elif isinstance(node, InlineFragmentNode):
                search(node.selection_set, schema.type_map[node.type_condition.name.value], path)
            elif node.selection_set is not None:
                inner = get_named_type(type_.fields[node.name.value].type)
                here = (*path, node.name.value)
                if inner.name.endswith("Connection"):
                    names = {one.name.value for one in node.selection_set.selections}
                    assert "pageInfo" in names, here
                    paged.add(tuple(step for step in here[1:] if step != "nodes"))
                search(node.selection_set, inner, here)

    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    search(operation.selection_set, schema.query_type, ())
    together = READ_TOGETHER if CONNECTIONS[stream].read_more else set()
    assert paged - {()} == {(*nested.owners, nested.name) for nested in CONNECTIONS[stream].nested} | together


def test_the_enums_of_the_contracts_are_those_of_the_schema(schema):
    roots = {"orders": "Order", "customers": "Customer", "products": "Product"}
    for stream, root in roots.items():
        table = load_contract(CONTRACTS_DIR / "shopify" / f"{stream}.yaml").table
        for field in table.fields:
            type_ = schema.type_map[root]
            if field.enum:
                for step in field.path.split("."):
                    type_ = get_named_type(type_.fields[step].type)
                assert set(field.enum) == set(type_.values), f"{stream}.{field.name}"
