"""Every fault of a source ends in one line that says what to do, and the next run repairs it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.pipeline.faults.states import (
    CONVERSATIONS,
    OPERATION,
    ORDERS,
    TRAFFIC,
    TRANSIENT,
    closed_port,
    content,
    failure_line,
    rows_of,
    starts_of,
)
from tests.pipeline.harness.in_process import KEY, Bench, lake_files

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("faults")]


@dataclass(frozen=True)
class Fault:
    """A fault of a source: the scenario, or what of the credentials is wrong; the words of its error, and the tries."""

    words: str
    scenario: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    tries: int = 1
    streams: tuple[str, ...] = (ORDERS, CONVERSATIONS, TRAFFIC)
    endpoint: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _: {}


def answered(status: int, words: str, **more: Any) -> Fault:
    """A fault that is an answer with a status."""
    args = {"status": status, **({"retry_after": more.pop("retry_after")} if "retry_after" in more else {})}
    return Fault(f"answered {status}{words}", "status", args, **more)


def nobody_listens(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """An address on which no source answers, tokens included."""
    url = f"http://127.0.0.1:{closed_port()}"
    return {"url": url, "ga4_service_account": {**credentials["ga4_service_account"], "token_uri": f"{url}/token"}}


COUNTED = (ORDERS, CONVERSATIONS)
TOO_MANY = " .*too many requests; wait"
FAULTS = {
    "401": answered(401, ": .*(check|set)"),
    "403": answered(403, ": .*(permission|scopes|administrator|viewer)"),
    "404": answered(404, ": .*check HOTDASH_"),
    "429 with Retry-After": answered(429, TOO_MANY, retry_after=1, tries=TRANSIENT, streams=COUNTED),
    "429 with a Retry-After of hours": answered(429, TOO_MANY, retry_after=7200, streams=COUNTED),
    "429 without Retry-After": answered(429, TOO_MANY, tries=TRANSIENT, streams=COUNTED),
    "THROTTLED": Fault("was throttled for", "throttle", {"status": 200}, TRANSIENT, (ORDERS,)),
    "quota": Fault("quota", "quota", {"counter": "tokensPerDay"}, 1, (TRAFFIC,)),
    "500": answered(500, " .*materialise the partition again later", tries=TRANSIENT),
    "503 with Retry-After": answered(503, "", retry_after=1, tries=TRANSIENT, streams=(CONVERSATIONS,)),
    "time-out": Fault("timed out after 0.5 s", "timeout", {"seconds": 0.8}, TRANSIENT, (ORDERS,)),
    "broken JSON": Fault("not JSON", "bad_json", {}, TRANSIENT),
    "truncated page": Fault("sent .* of .* rows", "truncated_page", {}, TRANSIENT, (TRAFFIC,)),
    "unreachable host": Fault(
        "cannot be reached; check the base URL and the network", tries=TRANSIENT, endpoint=nobody_listens
    ),
    "wrong secret": Fault(
        "check HOTDASH_SHOPIFY_CLIENT_ID|credentials|token",
        streams=(ORDERS,),
        endpoint=lambda _: {"client_secret": "shpss_" + "ab" * 16},
    ),
    "wrong token": Fault(
        "answered 401: ", streams=(CONVERSATIONS,), endpoint=lambda _: {"chatwoot_token": "Zq8ZkTnV3xWcY7RfPdLm2aBs"}
    ),
    "wrong account": Fault(
        "service account|credentials|key",
        streams=(TRAFFIC,),
        endpoint=lambda _: {"ga4_service_account": {"client_email": "a@b.example"}},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [ORDERS, CONVERSATIONS, TRAFFIC])
def test_each_fault_of_a_source_is_one_line_and_leaves_nothing_and_the_run_after_them_repairs_it(
    bench: Bench, clean: Callable[[str], dict[str, Any]], name: str
) -> None:
    """After each fault lake and tables are as if nothing had run, so the next run is a first one."""
    for label, fault in FAULTS.items():
        if name not in fault.streams:
            continue
        wrong = fault.endpoint(bench.store.credentials)
        bench.endpoint(**wrong)
        if fault.scenario:
            bench.plant(fault.scenario, name.partition("/")[0], OPERATION[name], **fault.args)
        failed = bench.run(name)
        line = failure_line(failed)
        assert re.match(rf"^{name} {KEY}: .*({fault.words})", line), (label, line)
        assert not any(str(secret) in line for secret in wrong.values()), label
        assert starts_of(bench, failed) == fault.tries, label
        assert lake_files(bench.stack.home) == [], label
        left = bench.state(name)
        assert (rows_of(left), left["loads"]) == (0, []), label
        bench.heal()
    bench.endpoint()
    assert bench.run(name).success
    loaded = bench.state(name)
    assert content(loaded) == content(clean(name))

    # A window that cannot be read again keeps what it had.
    bench.plant("status", name.partition("/")[0], OPERATION[name], status=500)
    failure_line(bench.run(name))
    assert bench.state(name) == loaded


def test_a_fault_that_passes_is_repaired_by_the_step_itself(
    bench: Bench, clean: Callable[[str], dict[str, Any]]
) -> None:
    """Three tries of the first start fail; the second start of the step succeeds."""
    bench.plant("status", "shopify", "Orders", times=3, status=502)
    outcome = bench.run(ORDERS)
    assert outcome.success, outcome.errors
    assert content(bench.state(ORDERS)) == content(clean(ORDERS))


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        (
            ORDERS,
            {"shopify_shop": "a.myshopify.com"},
            "set HOTDASH_SHOPIFY_CLIENT_ID and HOTDASH_SHOPIFY_CLIENT_SECRET",
        ),
        (CONVERSATIONS, {"chatwoot_base_url": "http://127.0.0.1:9"}, "set .*HOTDASH_CHATWOOT_API_TOKEN"),
        (TRAFFIC, {"ga4_property_id": "1"}, "set HOTDASH_GA4_CREDENTIALS_FILE or HOTDASH_GA4_CREDENTIALS_JSON"),
        (TRAFFIC, {"shopify_shop": "a.myshopify.com", "shopify_access_token": "x"}, "ga4 is not configured"),
    ],
)
def test_missing_credentials_name_the_variables_to_set(
    bench: Bench, name: str, given: dict[str, str], words: str
) -> None:
    bench.set(**given)
    line = failure_line(bench.run(name))
    assert re.match(rf"^{name} {KEY}: .*{words}", line), line


def test_no_stand_in_and_no_credentials_say_what_to_start(bench: Bench) -> None:
    (bench.stack.home / "demo" / "endpoint.json").unlink()
    assert re.match(rf"^{ORDERS} {KEY}: no credentials are set .*`hotdash demo serve`", failure_line(bench.run(ORDERS)))
