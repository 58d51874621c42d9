"""The control plane, the endpoint file, and the refusal to listen off loopback."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from hotdash_pipelines.demo.__main__ import main
from hotdash_pipelines.demo.credentials import write_endpoint_file
from hotdash_pipelines.demo.serve import ServeError, address_of, bind
from hotdash_pipelines.demo.testing import start_stand_in
from tests.unit.demo.shopify.shopify_client import NOW, ORDERS, Store, day_window


@pytest.fixture
def store() -> Store:
    return Store(scale=0.005)


def test_the_clock_is_read_moved_and_set(store: Store) -> None:
    assert store.http.get("/_control").json()["now"] == NOW.isoformat()
    assert store.control("clock", {"advance_seconds": 3_600}).json()["now"] == "2026-11-20T16:00:00+00:00"
    assert store.control("clock", {"set": "2026-11-21T00:00:00Z"}).json()["now"] == "2026-11-21T00:00:00+00:00"
    assert store.control("clock", {"set": "2026-11-21T00:00:00"}).status_code == 422
    assert store.control("clock", {}).status_code == 422


def test_scenarios_are_added_listed_and_cleared(store: Store) -> None:
    added = store.control("scenarios", {"name": "status", "source": "shopify", "times": 2, "args": {"status": 500}})
    assert (added.status_code, added.json()["args"]) == (201, {"status": 500})
    assert len(store.http.get("/_control/scenarios").json()) == 1
    assert store.post("{ shop { name } }").status_code == 500
    assert store.http.get("/_control/scenarios").json()[0]["times"] == 1
    store.http.delete("/_control/scenarios")
    assert store.post("{ shop { name } }").status_code == 200


def test_every_source_is_made_rough_until_it_is_cleared(store: Store) -> None:
    added = store.control("scenarios", {"name": "rough", "share": 1.0, "seed": 7, "faults": ["bad_json"]})
    assert (added.status_code, len(added.json())) == (201, 3)
    assert b"DOCTYPE" in store.post("{ shop { name } }").content
    store.http.delete("/_control/scenarios")
    assert store.post("{ shop { name } }").json()["data"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "rough", "source": "mail"},
        {"name": "fire", "source": "shopify"},
        {"name": "status", "source": "mail"},
        {"name": "empty", "source": "ga4", "times": 0},
    ],
)
def test_an_unknown_scenario_is_refused(store: Store, body: dict[str, object]) -> None:
    refused = store.control("scenarios", body)
    assert refused.status_code == 422
    assert refused.json()["error"]


def test_the_request_log_is_read_by_source_and_cleared(store: Store) -> None:
    store.post("{ shop { name } }")
    assert [entry["operation"] for entry in store.http.get("/_control/requests?source=shopify").json()] == ["shop"]
    assert store.http.get("/_control/requests?source=ga4").json() == []
    store.http.delete("/_control/requests")
    assert store.http.get("/_control/requests").json() == []


def test_a_mutated_order_shows_its_change_and_moves(store: Store) -> None:
    window = day_window("2026-11-18", "2026-11-19")
    order = store.all_orders(window)[0]
    number = int(order["id"].rpartition("/")[2])
    changes = {"displayFinancialStatus": "A_NEW_STATUS", "tags": ["late"]}
    assert store.control("entity", {"kind": "order", "id": number, "changes": changes}).status_code == 200
    assert order["id"] not in [o["id"] for o in store.all_orders(window)]
    moved = store.data(ORDERS, {"query": f"updated_at:>='{NOW.isoformat()}'", "first": 5})["orders"]["nodes"]
    assert [(o["id"], o["displayFinancialStatus"], o["tags"], o["updatedAt"]) for o in moved] == [
        (order["id"], "A_NEW_STATUS", ["late"], "2026-11-20T15:00:00Z")
    ]


def test_a_mutated_customer_shows_its_change_and_moves(store: Store) -> None:
    customer = store.world.shop.customers_created_on(NOW.date().replace(day=1))[0]
    body = {"kind": "customer", "id": customer.id, "changes": {"lastName": "Renamed"}}
    assert store.control("entity", body).status_code == 200
    query = "query($q: String) { customers(first: 5, query: $q) { nodes { lastName updatedAt } } }"
    customers = store.data(query, {"q": f"updated_at:>='{NOW.isoformat()}'"})["customers"]["nodes"]
    assert customers == [{"lastName": "Renamed", "updatedAt": "2026-11-20T15:00:00Z"}]


@pytest.mark.parametrize(
    "body", [{"kind": "order", "id": 1, "changes": {}}, {"kind": "ship", "id": 1, "changes": {}}, {}]
)
def test_an_entity_that_is_not_there_cannot_be_changed(store: Store, body: dict[str, object]) -> None:
    assert store.control("entity", body).status_code == 422


def test_the_control_plane_answers_on_loopback_only(store: Store) -> None:
    outside = TestClient(store.app, base_url="http://127.0.0.1", client=("192.0.2.7", 50_000))
    rebound = TestClient(store.app, base_url="http://evil.example.com", client=("127.0.0.1", 50_000))
    assert [client.get("/_control").status_code for client in (outside, rebound, store.http)] == [403, 403, 200]


def test_the_control_plane_takes_no_web_forms(store: Store) -> None:
    form = store.http.post("/_control/clock", data={"advance_seconds": "9"})
    plain = store.http.post(
        "/_control/clock", content=b'{"advance_seconds": 9}', headers={"content-type": "text/plain"}
    )
    assert [form.status_code, plain.status_code] == [422, 422]
    assert store.world.clock.now() == NOW


def test_the_index_names_what_is_there(store: Store) -> None:
    page = store.http.get("/").text
    assert all(part in page for part in ("Shopify", "Chatwoot", "Google Analytics 4", "Slack", "/_control"))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_an_address_off_loopback_is_refused(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServeError, match="loopback only"):
        bind(host, 0)
    assert main(["--host", host]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_port_that_is_taken_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_the_endpoint_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "endpoint.json"
    write_endpoint_file(path, {"url": "a"})
    (path.parent / ".endpoint.json.4711").write_text("what a killed writer left")
    write_endpoint_file(path, {"url": "b"})
    assert json.loads(path.read_text()) == {"url": "b"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["endpoint.json"]


def test_a_running_stand_in_serves_over_http_with_its_credentials() -> None:
    with start_stand_in(seed=7, scale=0.005, now=NOW) as running:
        endpoint = running.endpoint()
        body = {"grant_type": "client_credentials", **{k: endpoint[k] for k in ("client_id", "client_secret")}}
        granted = httpx.post(f"{running.url}/admin/oauth/access_token", json=body).json()
        answer = httpx.post(
            f"{running.url}/admin/api/2026-10/graphql.json",
            json={"query": "{ shop { myshopifyDomain ianaTimezone } }"},
            headers={"X-Shopify-Access-Token": granted["access_token"]},
        )
        shop = answer.json()["data"]["shop"]
        assert shop == {"myshopifyDomain": endpoint["shop_domain"], "ianaTimezone": "America/New_York"}
        assert [entry["operation"] for entry in running.log.entries()] == ["access_token", "shop"]
    with pytest.raises(httpx.TransportError):
        httpx.get(running.url)


def test_an_address_is_written_as_a_url() -> None:
    with bind("localhost", 0) as bound:
        assert address_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
