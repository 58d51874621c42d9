"""`hotdash up` as a process: each fault is one line on standard error, and all are gone with the next run.

One home is led through them: an up in which every source fails, one whose load is killed, one that is killed itself,
one that nothing disturbs.
"""

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.pipeline.harness.alerting import left_by_up, messages, tick
from tests.pipeline.harness.homes import home_in, until
from tests.pipeline.harness.stack import NOW, SCALE, SEED, Ran, Stack, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]

# The number is how many models are built before it.
KILL_AT = "dbt.model_built:12"
WRONG_TOKEN = "Zq8ZkTnV3xWcY7RfPdLm2aBs"


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=SCALE, now=NOW) as running:
        yield running


def real(store: RunningStandIn, **changed: str) -> dict[str, str]:
    """Credentials as a user sets them, leading to the stand-in."""
    given = {
        "PROJECT_KEY": "hotdash-demo",
        "SHOPIFY_BASE_URL": store.url,
        "SHOPIFY_CLIENT_ID": str(store.credentials["client_id"]),
        "SHOPIFY_CLIENT_SECRET": str(store.credentials["client_secret"]),
        "SLACK_WEBHOOK_URL": str(store.credentials["slack_webhook_url"]),
    }
    return {f"HOTDASH_{name}": value for name, value in {**given, **changed}.items() if value}


@pytest.fixture(scope="module")
def stormy(server: object, session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(server, session_home, tmp_path_factory.mktemp("stormy")) as stack:
        yield stack


@pytest.fixture(scope="module")
def failed(stormy: Stack, store: RunningStandIn) -> Ran:
    """A first up: Shopify sends a wrong type, Chatwoot refuses the token, GA4 knows no such account."""
    account = store.credentials["ga4_service_account"]
    given = {
        "CHATWOOT_BASE_URL": store.url,
        "CHATWOOT_ACCOUNT_ID": str(store.credentials["chatwoot_account_id"]),
        "CHATWOOT_API_TOKEN": WRONG_TOKEN,
        "GA4_BASE_URL": store.url,
        "GA4_PROPERTY_ID": str(store.credentials["ga4_property_id"]),
        "GA4_CREDENTIALS_JSON": json.dumps({**account, "client_email": "nobody@demo.iam.gserviceaccount.com"}),
    }
    store.scenarios.add("wrong_type", "shopify", "Orders", 1_000_000)
    try:
        return stormy.up(days=1, environment=real(store, **given))
    finally:
        store.scenarios.clear()


@dataclass(frozen=True)
class Killed:
    """An up of which something was killed, and the processes that it left."""

    ran: Ran
    left: list[int]


@pytest.fixture(scope="module")
def killed(stormy: Stack, failed: Ran) -> Killed:
    """An up whose load is killed."""
    ran = stormy.up(days=2, environment={"HOTDASH_KILL_AT": KILL_AT})
    return Killed(ran, leftovers(stormy))


@pytest.fixture(scope="module")
def orphaned(stormy: Stack, killed: Killed, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """An up that is killed itself while it loads."""
    with home_in(tmp_path_factory.mktemp("orphaned"), stormy.environment) as home:
        command = home.start("up", "--no-serve", "--days", "2")
        command.says("done     lake_")
        code = command.end(signal.SIGKILL)
        until("the load ends with its up", lambda: len(leftovers(stormy)) == 1, 30)
        return Killed(Ran(code, command.out, command.err), leftovers(stormy))


@pytest.fixture(scope="module")
def undisturbed(stormy: Stack, orphaned: Killed) -> Ran:
    """The next up, which nothing disturbs."""
    return stormy.up(days=2)


def leftovers(stack: Stack) -> list[int]:
    """Processes that `hotdash up` of this stack started and that still run."""
    pids = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOTDASH_UP") == str(stack.home.resolve()):
                pids.append(process.pid)
        except psutil.Error:
            continue
    return pids


@pytest.mark.slow
@pytest.mark.xdist_group("loaded")
@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("shopify/orders", r"2 of \d+ records break the contract \(orders.updated_at is not a timestamp"),
        ("chatwoot/conversations", "127.0.0.1: .* answered 401"),
        ("ga4/traffic_daily", "127.0.0.1: .* answered 400: .*signing in failed: check HOTDASH_GA4_CREDENTIALS_FILE"),
    ],
)
def test_each_fault_is_told_in_one_line(failed: Ran, stream: str, words: str) -> None:
    (line,) = [one for one in failed.err.splitlines() if f"{stream} 2026-03-09:" in one]
    assert re.match(rf"^  lake_{stream.replace('/', '__')}: {stream} 2026-03-09: {words}", line), failed.err


@pytest.mark.slow
@pytest.mark.xdist_group("loaded")
def test_a_failed_up_ends_with_code_1_and_without_what_failed(failed: Ran, store: RunningStandIn) -> None:
    assert failed.code == 1
    assert "Traceback" not in failed.err
    outcome = json.loads(failed.out)
    loaded, left_out = outcome["assets"], outcome["left_out"]
    assert loaded["raw_shopify/products"] > 0
    assert not [name for name in loaded if name.startswith(("raw_chatwoot", "raw_ga4"))]
    for name in ("marts_core/fct_order", "metrics/agg_sales_daily", "marts_core/fct_web_sessions_daily"):
        assert left_out[name] == "never built"
        assert name not in loaded
        assert f"left out    {name}, last state: never built" in failed.err
    key = store.credentials["ga4_service_account"]["private_key"].splitlines()[3]
    assert [secret for secret in (WRONG_TOKEN, key, store.credentials["client_secret"]) if secret in failed.err] == []


@pytest.mark.slow
@pytest.mark.xdist_group("loaded")
def test_a_failed_up_alerts_once_and_the_sensor_adds_nothing(failed: Ran, stormy: Stack, store: RunningStandIn) -> None:
    assert len(messages(store)) == 1
    with left_by_up(stormy, store) as bench:
        (run,) = bench.instance.get_runs()
        tick(bench, run.run_id)
    assert len(messages(store)) == 1


@pytest.mark.slow
@pytest.mark.xdist_group("loaded")
def test_a_killed_load_is_told_in_one_line_and_leaves_nothing_running(stormy: Stack, killed: Killed) -> None:
    assert killed.ran.code == 1
    assert killed.ran.out == ""
    last = killed.ran.err.splitlines()[-1]
    assert last.startswith("hotdash: the load was ended by SIGKILL, see "), killed.ran.err[-2000:]
    assert "Traceback" not in killed.ran.err
    assert killed.left == []


@pytest.mark.slow
@pytest.mark.xdist_group("loaded")
def test_the_stand_in_outlives_a_killed_up_and_ends_with_the_next(
    stormy: Stack, orphaned: Killed, undisturbed: Ran
) -> None:
    """The load does not: it would go on writing."""
    assert orphaned.ran.code == -signal.SIGKILL, orphaned.ran.err[-2000:]
    assert "ended       run" in orphaned.ran.err
    assert [pid for pid in orphaned.left if psutil.pid_exists(pid)] == []
    assert leftovers(stormy) == []


@pytest.mark.slow
@pytest.mark.xdist_group("loaded")
def test_an_up_after_a_failed_and_a_killed_one_equals_an_undisturbed_one(
    stormy: Stack, undisturbed: Ran, loaded: Stack
) -> None:
    """On another Postgres, too, where there is one: `loaded` is on 15."""
    assert undisturbed.json()["checks"]["failed"] == 0
    assert stormy.lake_digests() == loaded.lake_digests()
    # Hashes of names are of small letters, which a server knows by its locale: Postgres 15 has another one here.
    schemas = ("raw_%", "marts_%", "metrics")
    compared = stormy.checksums(*schemas, without=["name_hash"])
    assert compared == loaded.checksums(*schemas, without=["name_hash"])
    assert not compared["metrics.agg_sales_daily"].startswith("0:")

    assert stormy.query_dagster("select status from runs order by id") == [*[("FAILURE",)] * 3, ("SUCCESS",)]
    assert stormy.query_dagster("select count(*) from concurrency_slots where run_id is not null") == [(0,)]


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
