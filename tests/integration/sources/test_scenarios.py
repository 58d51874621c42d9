"""Each fault the stand-in can act out ends as designed: repaired by the client, or told in one line."""

import json

import pytest

from hotdash_pipelines.demo.shopify.cost import STANDARD
from hotdash_pipelines.demo.shopify.http import ShopifyApi
from hotdash_pipelines.sources import PermanentSourceError, QuotaExhausted, SourceError, TransientSourceError
from hotdash_pipelines.sources.http import Patience

KEY = "2026-11-18"
# Longer ago than what Chatwoot is asked for by its last change: read from the filter, page by page.
OLD_KEY = "2026-11-05"
ONE_STREAM = [("shopify", "orders"), ("chatwoot", "conversations"), ("ga4", "traffic_daily")]
MATCH = {"shopify": "Orders", "chatwoot": "conversations", "ga4": "runReport"}


@pytest.fixture(params=ONE_STREAM, ids=lambda stream: stream[0])
def stream(request):
    return request.param


def undisturbed(bench, source, stream, key=KEY):
    fetched = bench.fetch(source, stream, key)
    bench.naps.clear()
    return fetched


def plant(bench, name, source, times=1, **args):
    bench.store.scenarios.add(name, source, MATCH[source], times, **args)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503, "retry_after": 3}),
        ("status", {"status": 429, "retry_after": 2}),
        ("bad_json", {}),
        ("expired_token", {}),
        ("timeout", {"seconds": 0.6}),
    ],
    ids=["500", "503-retry-after", "429-retry-after", "bad_json", "expired_token", "timeout"],
)
def test_a_passing_fault_leaves_no_trace_in_the_pages(bench, stream, name, args):
    source, table = stream
    if source == "chatwoot" and name == "expired_token":
        pytest.skip("a Chatwoot token does not expire: a refusal is final there")
    if source == "ga4" and args.get("status") == 429:
        pytest.skip("Google's 429 names a quota that only time renews")
    expected = undisturbed(bench, source, table)
    client = bench.client(source, timeout=0.3)
    plant(bench, name, source, **args)
    assert bench.records(bench.fetch(source, table, KEY, client)) == bench.records(expected)
    assert bench.store.scenarios.pending() == []
    if "retry_after" in args:
        assert args["retry_after"] <= max(bench.naps) <= args["retry_after"] + 0.5


@pytest.mark.parametrize("status", [200, 429])
def test_throttling_is_waited_out_by_the_buckets_own_figures(bench, status):
    expected = undisturbed(bench, "shopify", "orders")
    plant(bench, "throttle", "shopify", times=2, status=status)
    assert bench.records(bench.fetch("shopify", "orders", KEY)) == bench.records(expected)
    assert len(bench.naps) == 2
    assert bench.store.scenarios.pending() == []


def test_chatwoots_rate_limit_without_retry_after_is_backed_off_from(bench):
    expected = undisturbed(bench, "chatwoot", "conversations")
    plant(bench, "throttle", "chatwoot", times=2)
    assert bench.records(bench.fetch("chatwoot", "conversations", KEY)) == bench.records(expected)
    assert len(bench.naps) == 2


def test_googles_quota_ends_the_window_with_a_time_to_resume(bench):
    plant(bench, "quota", "ga4", counter="tokensPerProjectPerHour")
    client = bench.client("ga4")
    with pytest.raises(QuotaExhausted, match=r"^ga4/traffic_daily 2026-11-18: .*quota is nearly used up") as caught:
        bench.fetch("ga4", "traffic_daily", KEY, client)
    assert 0 < caught.value.retry_after <= 3600
    asked = len(bench.store.log.entries("ga4"))
    with pytest.raises(QuotaExhausted):
        bench.fetch("ga4", "landing_daily", KEY, client)
    assert len(bench.store.log.entries("ga4")) == asked


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("status", {"status": 500}, "answered 500"),
        ("bad_json", {}, "not JSON"),
        ("timeout", {"seconds": 0.6}, "timed out after 0.1 s"),
    ],
    ids=["500", "bad_json", "timeout"],
)
def test_a_fault_that_stays_is_transient_and_names_stream_and_partition(bench, stream, name, args, words):
    source, table = stream
    client = bench.client(source, timeout=0.1, patience=Patience(attempts=3))
    client.ping()
    plant(bench, name, source, times=99, **args)
    with pytest.raises(TransientSourceError, match=rf"^{source}/{table} {KEY}: 127\.0\.0\.1: .*{words}") as caught:
        bench.fetch(source, table, KEY, client)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 423])
def test_a_refusal_is_permanent_and_asked_no_more_than_needed(bench, stream, status):
    source, table = stream
    client = bench.client(source)
    client.ping()
    bench.wire.sent.clear()
    plant(bench, "status", source, times=99, status=status)
    with pytest.raises(PermanentSourceError, match=rf"^{source}/{table} {KEY}: .* answered {status}"):
        bench.fetch(source, table, KEY, client)
    asked = [one for one in bench.wire.sent if MATCH[source] in one.url.path or MATCH[source].encode() in one.content]
    assert len(asked) == (2 if status == 401 and source != "chatwoot" else 1)
    assert bench.naps == []


def test_a_page_that_lost_half_its_records_is_noticed_and_read_again(bench, stream):
    source, table = stream
    if source == "ga4":
        pytest.skip("see the next test: Google announces the rows, so the client fails")
    key = OLD_KEY if source == "chatwoot" else KEY
    expected = undisturbed(bench, source, table, key)
    bench.store.scenarios.add("truncated_page", source, "filter" if source == "chatwoot" else None, 1)
    if source == "shopify":
        # The count query comes first and has no nodes to lose: the fault must hit a page.
        bench.store.scenarios.clear()
        bench.store.scenarios.add("empty", source, "OrdersCount", 1)
        bench.store.scenarios.add("truncated_page", source, "Orders", 1)
    fetched = bench.fetch(source, table, key)
    assert bench.records(fetched) == bench.records(expected)
    assert fetched.notes


def test_rows_that_google_announced_but_did_not_send_are_told(bench):
    plant(bench, "truncated_page", "ga4")
    with pytest.raises(TransientSourceError, match=r"sent \d+ of \d+ rows"):
        bench.fetch("ga4", "traffic_daily", KEY)


def test_conversations_that_move_while_they_are_read_are_all_there(bench):
    """Somebody writes into the oldest conversation of the list after the first page was cut."""
    expected = {c.display_id for c in in_window(bench)}
    plant(bench, "page_drift", "chatwoot")
    fetched = bench.fetch("chatwoot", "conversations", OLD_KEY)
    ids = {one["id"] for body in fetched.pages for one in json.loads(body)["payload"]}
    assert ids == {c.display_id for c in in_window(bench)}
    assert ids <= expected


def in_window(bench):
    window = bench.window(OLD_KEY)
    start, end = window.start.timestamp(), window.end.timestamp()
    return [c for c in bench.store.world.support.conversations() if start <= int(c.last_activity_at) < end]


def test_an_order_that_changes_while_it_is_read_leaves_the_window_and_nothing_else_does(bench):
    shop = bench.store.world.shop
    window = bench.window(KEY)
    before = shop.orders_updated_between(window.start, window.end)
    client = bench.client("shopify")
    done = []

    def edit(request):
        if b'"operationName":"Orders"' in request.content and not done:
            done.append(shop.mutate_order(before[-1].id, {}))

    bench.wire.after = edit
    fetched = bench.fetch("shopify", "orders", KEY, client)
    ids = {
        int(node["legacyResourceId"]) for body in fetched.pages for node in json.loads(body)["data"]["orders"]["nodes"]
    }
    assert done
    assert ids == {one.id for one in before[:-1]}
    assert fetched.expected_rows == len(ids)


def test_a_small_plan_halves_the_page_and_still_reads_everything(bench):
    """The published cost rule and a standard shop's bucket: the first page is refused, throttling sets in."""
    expected = undisturbed(bench, "shopify", "customers")
    bucket = ShopifyApi.of(bench.store.world).bucket
    plan = bucket.plan
    bucket.use(STANDARD)
    try:
        fetched = bench.fetch("shopify", "orders", KEY, bench.client("shopify"))
        customers = bench.fetch("shopify", "customers", KEY, bench.client("shopify"))
    finally:
        bucket.use(plan)
    window = bench.window(KEY)
    assert fetched.expected_rows == len(bench.store.world.shop.orders_updated_between(window.start, window.end))
    assert customers.expected_rows == expected.expected_rows
    sizes = [
        entry["variables"]["first"] for entry in bench.store.log.entries("shopify") if entry["operation"] == "Orders"
    ]
    assert min(sizes) < 50


def test_a_missing_scope_is_permanent(bench):
    api = ShopifyApi.of(bench.store.world)
    scopes = api.scopes
    api.scopes = frozenset(scopes - {"read_orders"})
    try:
        with pytest.raises(PermanentSourceError, match="check the app's scopes"):
            bench.fetch("shopify", "orders", KEY)
    finally:
        api.scopes = scopes


def test_an_agents_token_is_refused(bench):
    client = bench.client("chatwoot", api_token=bench.store.credentials["chatwoot_agent_token"])
    with pytest.raises(PermanentSourceError, match="not an administrator's"):
        bench.fetch("chatwoot", "conversations", KEY, client)


def test_a_host_that_does_not_answer_is_transient(bench):
    from hotdash_pipelines.sources.chatwoot.client import ChatwootClient

    client = ChatwootClient("http://127.0.0.1:9", 1, "t", sleep=bench.naps.append)
    with pytest.raises(TransientSourceError, match="cannot be reached"):
        bench.fetch("chatwoot", "inboxes", KEY, client)


def test_no_credential_is_ever_in_an_address_or_an_error(bench):
    """Real-looking secrets, every stream, every kind of refusal: neither addresses nor errors hold one."""
    known = bench.store.credentials
    secrets = [known["client_secret"], known["static_token"], known["chatwoot_token"], known["chatwoot_agent_token"]]
    secrets += [known["ga4_service_account"]["private_key"], "BEGIN PRIVATE KEY", "ya29.", "shpua_"]
    wrong = {
        "shopify": [{"client_secret": "shpss_" + "ab" * 16}, {"access_token": "shpat_" + "cd" * 16}],
        "chatwoot": [{"api_token": "Zq8ZkTnV3xWcY7RfPdLm2aBs"}],
        "ga4": [{"key": json.dumps({**known["ga4_service_account"], "client_email": "someone@else.example"})}],
    }
    errors = []
    for source, table in ONE_STREAM:
        bench.fetch(source, table, KEY, bench.client(source))
        for options in wrong[source]:
            secrets += [value for value in options.values() if not value.startswith("{")]
            with pytest.raises(PermanentSourceError) as refused:
                bench.fetch(source, table, KEY, bench.client(source, **options))
            errors.append(refused.value)
        for status in (401, 403, 429, 500):
            plant(bench, "status", source, times=50, status=status, body={"echo": secrets})
            with pytest.raises(SourceError) as failed:
                bench.fetch(source, table, KEY, bench.client(source, patience=Patience(attempts=2)))
            errors.append(failed.value)
            bench.store.scenarios.clear()
    assert len(errors) == 16
    texts = "\n".join(str(error) for error in errors)
    addresses = "\n".join(str(request.url) for request in bench.wire.sent)
    log = json.dumps(bench.store.log.entries())
    tokens = {
        request.headers.get(name) for request in bench.wire.sent for name in ("x-shopify-access-token", "authorization")
    }
    for secret in [*secrets, *(token.removeprefix("Bearer ") for token in tokens if token)]:
        assert secret not in texts
        assert secret not in addresses
        assert secret not in log
    assert all("\n" not in str(error) for error in errors)
