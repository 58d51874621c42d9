"""`hotdash up` as a process: a fault is one line on standard error, an exit code, and gone with the next run."""

import json
from collections.abc import Iterator

import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.pipeline.stack import NOW, SEED, Stack

pytestmark = [
    pytest.mark.pipeline,
]


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


def real(store: RunningStandIn, **changed: str) -> dict[str, str]:
    """Credentials as a user sets them, leading to the stand-in."""
    given = {
        "PROJECT_KEY": "hotdash-demo",
        "PIPELINE_SOURCES": "shopify",
        "SHOPIFY_BASE_URL": store.url,
        "SHOPIFY_CLIENT_ID": str(store.credentials["client_id"]),
        "SHOPIFY_CLIENT_SECRET": str(store.credentials["client_secret"]),
        "SLACK_WEBHOOK_URL": str(store.credentials["slack_webhook_url"]),
    }
    return {f"HOTDASH_{name}": value for name, value in {**given, **changed}.items() if value}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "scenario", "line"),
    [
        ({"SHOPIFY_CLIENT_SECRET": ""}, None, "lake_shopify__orders: shopify/orders 2026-03-09: Shopify: set HOTDASH_"),
        ({}, "wrong_type", "lake_shopify__orders: shopify/orders 2026-03-09: 2 of 2 pages break the contract"),
    ],
    ids=["missing credentials", "wrong type"],
)
def test_hotdash_up_tells_a_fault_in_one_line_and_the_next_up_repairs_it(
    stack: Stack, store: RunningStandIn, changed: dict[str, str], scenario: str | None, line: str
) -> None:
    if scenario:
        store.scenarios.add(scenario, "shopify", "Orders", 1_000_000)
    try:
        failed = stack.up(days=1, environment=real(store, **changed))
    finally:
        store.scenarios.clear()
    assert failed.code == 1
    assert "Traceback" not in failed.err
    (told_line,) = [one for one in failed.err.splitlines() if "shopify/orders 2026-03-09:" in one]
    assert told_line.strip().startswith(line), failed.err
    assert json.loads(failed.out)["assets"].get("raw_shopify/orders") is None
    if scenario:
        again = stack.up(days=1, environment=real(store)).json()
        assert again["assets"]["raw_shopify/orders"] > 0
        assert again["checks"]["failed"] == 0


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"HOTDASH_HOME": "/proc/hotdash"}, "hotdash: /proc/hotdash: "),
        ({"HOTDASH_LAKE_URL": "gs://bucket"}, "hotdash: HOTDASH_LAKE_URL"),
        ({"HOTDASH_DATABASE_URL": "postgresql://a:sesame@127.0.0.1:9/x"}, "hotdash: the warehouse at 127.0.0.1:9/x"),
        ({"HOTDASH_STORE_TIMEZONE": "Mars/Base"}, "hotdash: HOTDASH_STORE_TIMEZONE: "),
    ],
)  # fmt: skip
def test_hotdash_up_tells_what_it_cannot_start_with_in_one_line(
    stack: Stack, store: RunningStandIn, environment: dict[str, str], line: str
) -> None:
    refused = stack.up(days=1, environment={**real(store), **environment})
    assert refused.code in (1, 2)
    assert refused.out == ""
    told_lines = [one for one in refused.err.splitlines() if one.startswith("hotdash: ")]
    assert len(told_lines) == 1, refused.err
    assert told_lines[0].startswith(line)
    assert refused.err.splitlines()[-1] == told_lines[0]
    assert "Traceback" not in refused.err
    assert "sesame" not in refused.err
