"""What the shop does not let the app see is told by doctor and never read as emptiness."""

from datetime import timedelta

import pytest

from hotdash_pipelines.cli import doctor
from hotdash_pipelines.contracts.parse import parse_pages
from hotdash_pipelines.demo.shopify.fields.root import ALL_APPROVALS
from hotdash_pipelines.demo.shopify.http import ShopifyApi
from hotdash_pipelines.demo.world.shop import ALL_SCOPES
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources import PermanentSourceError
from hotdash_pipelines.sources.shopify.scopes import order_horizon
from tests.integration.sources.conftest import contract_of

KEY = "2026-11-18"


@pytest.fixture
def api(bench):
    given = ShopifyApi.of(bench.store.world)
    yield given
    given.scopes, given.approvals = ALL_SCOPES, ALL_APPROVALS


def told(bench, monkeypatch, tmp_path, **settings):
    """What doctor says of Shopify: {what is missing or answered: (is fatal, advice)}."""
    known = bench.store.credentials
    given = {
        "HOME": str(tmp_path),
        "PIPELINE_SOURCES": "shopify",
        "SHOPIFY_BASE_URL": bench.store.url,
        "SHOPIFY_CLIENT_ID": known["client_id"],
        "SHOPIFY_CLIENT_SECRET": known["client_secret"],
        **settings,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"HOTDASH_{name}", value)
    found = [entry for entry in doctor.examine(Settings()) if entry.subject == "shopify"]
    return {entry.finding: (not entry.is_fine and entry.is_fatal, entry.advice) for entry in found}


def test_doctor_is_content_with_an_app_that_may_see_everything(bench, api, monkeypatch, tmp_path):
    assert [*told(bench, monkeypatch, tmp_path)] == ["hotdash-demo.myshopify.com, API 2026-10"]


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES))
def test_doctor_names_each_missing_scope_and_what_it_costs(bench, api, monkeypatch, tmp_path, scope):
    api.scopes = ALL_SCOPES - {scope}
    _, (finding, (is_fatal, advice)) = told(bench, monkeypatch, tmp_path).items()
    assert finding.startswith(f"without scope {scope} ")
    assert finding.endswith(("not read", "unit cost", "unknown, not empty", "name theirs", "name them"))
    assert "install the app again" in advice
    assert is_fatal == (scope != "read_all_orders")


@pytest.mark.parametrize(
    ("approval", "fields"),
    [
        ("email", "orders.nodes.email"),
        ("address", "orders.nodes.shippingAddress"),
        ("name", "customers.nodes.firstName, customers.nodes.lastName"),
        ("phone", "customers.nodes.defaultPhoneNumber"),
        ("customer_data", "orders.nodes.customer"),
    ],
)
def test_doctor_names_the_field_of_a_missing_approval(bench, api, monkeypatch, tmp_path, approval, fields):
    api.approvals = ALL_APPROVALS - {approval}
    _, first, *_ = told(bench, monkeypatch, tmp_path).items()
    assert first[0].startswith(f"without approval for {fields} ")
    assert ("PERSONAL_FIELDS" in first[1][1]) == (approval != "customer_data")
    assert first[1][0]


def test_a_denied_field_is_named_with_the_approval_in_the_streams_error(bench, api):
    api.approvals = ALL_APPROVALS - {"email"}
    with pytest.raises(
        PermanentSourceError, match=r"the field orders\.nodes\.email .*protected customer data \(email\)"
    ):
        bench.fetch("shopify", "orders", KEY, bench.client("shopify"))


@pytest.mark.parametrize("stream", ["orders", "customers", "products"])
def test_without_personal_fields_every_stream_is_whole_for_an_app_without_their_approval(bench, api, stream):
    contract = contract_of("shopify", stream)
    expected = parse_pages(contract, bench.fetch("shopify", stream, KEY).pages)
    api.approvals = frozenset({"customer_data"})
    fetched = bench.fetch("shopify", stream, KEY, bench.client("shopify", personal_fields=False))
    parsed = parse_pages(contract, fetched.pages)
    assert (parsed.rejected, parsed.bad_pages) == ([], [])
    for name, table in parsed.tables.items():
        assert table.num_rows == expected.tables[name].num_rows
    personal = {field.name for field in contract.table.fields if field.pii in ("email", "phone", "name", "address")}
    main = parsed.tables[stream]
    assert main.num_rows > 0
    assert all(main.column(name).null_count == main.num_rows for name in personal)
    assert personal or stream == "products"


def test_doctor_is_content_without_personal_fields(bench, api, monkeypatch, tmp_path):
    api.approvals = frozenset({"customer_data"})
    assert len(told(bench, monkeypatch, tmp_path, SHOPIFY_PERSONAL_FIELDS="false")) == 1


def test_an_app_without_all_orders_sees_sixty_days_and_agrees_with_itself(bench, api):
    now = bench.store.clock.now()
    day = (now - timedelta(days=70)).date().isoformat()
    client = bench.client("shopify")
    assert order_horizon(client, now) is None
    assert bench.fetch("shopify", "orders", day, client).expected_rows > 0
    api.scopes = ALL_SCOPES - {"read_all_orders"}
    hidden = bench.fetch("shopify", "orders", day, client)
    assert (hidden.expected_rows, bench.records(hidden)) == (0, [])
    assert order_horizon(client, now) == now - timedelta(days=60)


def test_the_scopes_are_asked_for_in_one_request(bench, api):
    client = bench.client("shopify")
    client.ping()
    bench.store.log.clear()
    order_horizon(client, bench.store.clock.now())
    assert [entry["operation"] for entry in bench.store.log.entries("shopify")] == ["AccessScopes"]
