"""The schema subset and its executor, held against their references."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLResolveInfo, GraphQLScalarType, build_schema, execute, is_object_type, parse
from graphql.execution.values import get_variable_values

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.shopify.cost import GENEROUS
from hotdash_pipelines.demo.shopify.execute import Compiler, Request, coerce_variables
from hotdash_pipelines.demo.shopify.fields.root import ALL_APPROVALS, WIRING
from hotdash_pipelines.demo.shopify.schema import Operation, prepare, schema
from hotdash_pipelines.demo.shopify.search import parse_search
from hotdash_pipelines.demo.shopify.values import decimal_text, gid_number, money_text
from hotdash_pipelines.demo.world.shop import ALL_SCOPES, Shop
from tests.unit.demo.shopify.shopify_client import NOW

REPOSITORY = Path(__file__).resolve().parents[4]
FOLDER = files("hotdash_pipelines.demo.shopify")
# Set this to admin_2026-10.json.gz of the npm package to compare with Shopify's own file.
INTROSPECTION = os.environ.get("SHOPIFY_INTROSPECTION_FILE")


def derive_module() -> Any:
    spec = importlib.util.spec_from_file_location("derive_shopify_sdl", REPOSITORY / "scripts/derive_shopify_sdl.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def committed() -> tuple[str, dict[str, Any]]:
    sdl = FOLDER.joinpath("admin_2026_10.graphql").read_text(encoding="utf-8")
    return sdl, json.loads(FOLDER.joinpath("admin_2026_10.digest.json").read_text(encoding="utf-8"))


def test_no_type_of_the_subset_was_edited_by_hand() -> None:
    sdl, digest = committed()
    digests = derive_module().digests(sdl)
    assert digests == digest["types"]
    tampered = sdl.replace("totalTaxSet: MoneyBag\n", "totalTaxSet: MoneyBag!\n")
    assert derive_module().digests(tampered) != digest["types"]


@pytest.mark.skipif(INTROSPECTION is None, reason="SHOPIFY_INTROSPECTION_FILE is not set")
def test_the_subset_is_what_shopify_publishes() -> None:
    assert INTROSPECTION is not None
    module = derive_module()
    sdl, digest = committed()
    assert module.derive(module.load_types(Path(INTROSPECTION))) == sdl
    assert hashlib.sha256(Path(INTROSPECTION).read_bytes()).hexdigest() == digest["source_sha256"]


def test_a_field_shopify_does_not_have_cannot_be_derived() -> None:
    module = derive_module()
    types = {"QueryRoot": {"name": "QueryRoot", "kind": "OBJECT", "fields": [], "interfaces": []}}
    with pytest.raises(KeyError, match="QueryRoot has no"):
        module.derive({**{name: {"name": name, "kind": "SCALAR"} for name in module.KEEP}, **types})


def test_every_field_of_the_subset_has_a_resolver_and_no_other() -> None:
    composites = {name: t for name, t in schema().type_map.items() if is_object_type(t) and not name.startswith("__")}
    for name, type_ in composites.items():
        if name == "MoneyV2" or name in WIRING.resolvers:
            known = set(WIRING.resolvers[name])
            wanted = set(type_.fields)
            assert wanted <= known, f"{name}: no resolver for {wanted - known}"
            if not name.endswith(("Connection", "Edge")):
                assert known <= wanted, f"{name}: resolvers for nothing: {known - wanted}"
        else:
            pytest.fail(f"{name} has no resolvers")


def everything(type_name: str, depth: int) -> str:
    """A selection of every field of a type, down to `depth` levels."""
    type_: Any = schema().type_map[type_name]
    parts = ["__typename"]
    for name, field in type_.fields.items():
        named = field.type
        while hasattr(named, "of_type"):
            named = named.of_type
        arguments = "(first: 3)" if "first" in field.args else ""
        if type_name == "QueryRoot" and "id" in field.args:
            continue
        if not hasattr(named, "fields"):
            inner = (
                " { ... on PricingPercentageValue { percentage } ... on MoneyV2 { amount currencyCode } }"
                if named.name == "PricingValue"
                else ""
            )
            parts.append(f"{name}{arguments}{inner}")
        elif depth > 0:
            parts.append(f"{name}{arguments} {{ {everything(named.name, depth - 1)} }}")
    return " ".join(parts)


def run_ours(shop: Shop, text: str, variables: dict[str, Any]) -> Any:
    operation = prepare(text, None)
    assert isinstance(operation, Operation), operation
    coerced = coerce_variables(operation, variables)
    assert isinstance(coerced, dict), coerced
    request = Request(coerced, ALL_SCOPES, GENEROUS, ALL_APPROVALS)
    compiler = Compiler(operation, request, WIRING)
    run = compiler.compile()
    assert run is not None
    data = run(shop)
    assert not request.errors
    assert 0 < request.cost <= compiler.requested
    return data


def run_reference(shop: Shop, text: str, variables: dict[str, Any]) -> Any:
    """The same resolvers under graphql-core's own executor, which checks every value against its type."""
    reference = build_schema(FOLDER.joinpath("admin_2026_10.graphql").read_text(encoding="utf-8"))
    for type_ in reference.type_map.values():
        if isinstance(type_, GraphQLScalarType) and type_.name in (
            "URL",
            "DateTime",
            "Decimal",
            "Money",
            "UnsignedInt64",
        ):
            type_.serialize = _text_only
    document = parse(text)
    coerced: Any = get_variable_values(reference, document.definitions[0].variable_definitions, variables)  # type: ignore[attr-defined]
    request = Request(coerced, ALL_SCOPES, GENEROUS, ALL_APPROVALS)

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        resolver = WIRING.resolvers[info.parent_type.name][info.field_name]
        takes_arguments = bool(info.parent_type.fields[info.field_name].args)
        return resolver(source, arguments, request) if takes_arguments else resolver(source)

    result: Any = execute(
        reference,
        document,
        root_value=shop,
        variable_values=variables,
        field_resolver=resolve,
        type_resolver=lambda source, _info, _type: WIRING.type_of(source),
    )
    assert result.errors is None, result.errors[:3]
    return result.data


def _text_only(value: Any) -> str:
    assert isinstance(value, str), f"{value!r} is not text"
    return value


@pytest.mark.parametrize("field, type_name", [("orders", "Order"), ("customers", "Customer"), ("products", "Product")])
def test_the_executor_agrees_with_the_reference_on_every_field(field: str, type_name: str) -> None:
    search = "" if field == "products" else "updated_at:>='2026-11-18T05:00:00Z'"
    text = f"query($q: String) {{ {field}(first: 60, query: $q) {{ nodes {{ {everything(type_name, 4)} }} }} }}"
    shop = Shop(7, 0.01, VirtualClock(NOW))
    assert run_ours(shop, text, {"q": search}) == run_reference(shop, text, {"q": search})


def test_the_executor_agrees_on_aliases_fragments_and_directives() -> None:
    text = """query($with: Boolean!, $n: Int = 2) {
      first: orders(first: $n, sortKey: ID) { edges { cursor node { ...short tags @skip(if: $with) } } }
      shop { name ... on Shop { url @include(if: $with) } }
      productsCount { count } productVariants(first: 2) { nodes { id price } pageInfo { endCursor hasPreviousPage } }
    }
    fragment short on Order { id name a: name
      lineItems(first: 1) { nodes { id } } lineItems(first: 1) { nodes { sku } } }"""
    shop = Shop(7, 0.01, VirtualClock(NOW))
    for value in (True, False):
        assert run_ours(shop, text, {"with": value}) == run_reference(shop, text, {"with": value})


def test_the_executor_agrees_on_interfaces_within_interfaces() -> None:
    text = """query($q: String) { orders(first: 60, query: $q) { nodes { agreements(first: 5) { nodes { __typename id
      ... on SalesAgreement { reason } ... on RefundAgreement { refund { id } }
      sales(first: 9) { edges { cursor node { ...sale } } nodes { lineType ... on ProductSale { lineItem { id } }
        ... on ShippingLineSale { shippingLine { id } } } } } } } } }
    fragment sale on Sale { __typename id actionType quantity totalAmount { shopMoney { amount } } }"""
    variables = {"q": "updated_at:>='2026-11-18T05:00:00Z'"}
    shop = Shop(7, 0.01, VirtualClock(NOW))
    assert run_ours(shop, text, variables) == run_reference(shop, text, variables)


@pytest.mark.parametrize(
    "text, part",
    [
        ("{ orders(first: 1) { nodes { nope } } }", "Cannot query field 'nope' on type 'Order'"),
        ("{ orders(first: 1) ", "Syntax Error"),
        ("{ shop }", "must have a selection"),
        ("mutation { x }", "mutation"),
    ],
)
def test_a_wrong_query_gives_a_graphql_error(text: str, part: str) -> None:
    errors = prepare(text, None)
    assert isinstance(errors, list)
    assert part in errors[0]["message"]


def test_amounts_and_ids_look_as_shopify_shows_them() -> None:
    assert [decimal_text(c) for c in (0, 1000, 1950, 1999, -5, -250)] == [
        "0.0",
        "10.0",
        "19.5",
        "19.99",
        "-0.05",
        "-2.5",
    ]
    assert [money_text(c) for c in (0, 1000, -5)] == ["0.00", "10.00", "-0.05"]
    assert gid_number("gid://shopify/Order/12", "Order") == 12
    assert gid_number("gid://shopify/Customer/12", "Order") is None


def test_searches_are_read_term_by_term() -> None:
    terms = parse_search("""updated_at:>='2026-01-01T00:00:00Z' AND -status:open tag:"two words" id:5""")
    assert [(t.field, t.op, t.value, t.negated) for t in terms] == [
        ("updated_at", ">=", "2026-01-01T00:00:00Z", False),
        ("status", "=", "open", True),
        ("tag", "=", "two words", False),
        ("id", "=", "5", False),
    ]
