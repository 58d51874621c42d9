"""Every fault of source, disk or server ends in one line that says what to do, and the next run repairs it."""

import errno
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.local.first_load import LoadOutcome
from hotdash_pipelines.orchestration import keys
from tests.pipeline.harness.in_process import KEY, Bench, lake_files, open_bench
from tests.pipeline.harness.stack import NOW, SEED, Stack, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("faults")]

ORDERS, CONVERSATIONS, TRAFFIC = "shopify/orders", "chatwoot/conversations", "ga4/traffic_daily"
OPERATION = {ORDERS: "Orders", CONVERSATIONS: "conversations", TRAFFIC: "runReport"}


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def clean(
    server: object, session_home: Path, store: RunningStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """What lake and tables hold of a stream's window after a run without faults."""
    known: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in known:
            home = tmp_path_factory.mktemp("clean")
            with open_stack(server, session_home, home) as stack, open_bench(stack, store) as bench:
                assert bench.run(name).success
                known[name] = bench.state(name)
                assert rows_of(known[name]) > 0
        return known[name]

    return of


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench


def rows_of(state: dict[str, Any]) -> int:
    return sum(int(checksum.split(":")[0]) for checksum in state["tables"].values())


def main_rows(state: dict[str, Any], name: str) -> int:
    """Rows of a stream's main table."""
    source, _, stream = name.partition("/")
    return int(state["tables"][f"raw_{source}.{stream}"].split(":")[0])


def content(state: dict[str, Any]) -> dict[str, Any]:
    """A state without what another fetch of the same rows may change."""
    volatile = ("requests", "cost", "notes", "pages_file")
    manifests = {
        path: {name: value for name, value in manifest.items() if name not in volatile}
        for path, manifest in state["manifests"].items()
    }
    return {**state, "manifests": manifests}


def failure_line(outcome: LoadOutcome) -> str:
    """The one error of a failed run: a single line, without the name of the step before it."""
    assert not outcome.success
    # A part of the job runs every check of its assets, also those that only show how an SLA stands.
    errors = [error for error in outcome.errors if not error.startswith("sla_verdicts: ")]
    assert len(errors) == 1, errors
    line = errors[0].partition(": ")[2]
    assert "\n" not in line
    assert "Traceback" not in line
    return line


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


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


TRANSIENT = 4
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


def starts_of(bench: Bench, outcome: LoadOutcome) -> int:
    """How often the step that failed was started."""
    events = [
        record.event_log_entry.dagster_event for record in bench.instance.get_records_for_run(outcome.run_id).records
    ]
    step = outcome.errors[0].partition(": ")[0]
    return sum(
        event is not None and event.step_key == step and event.event_type_value in ("STEP_START", "STEP_RESTARTED")
        for event in events
    )


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


def test_an_unknown_field_is_loaded_around_and_the_check_warns(
    bench: Bench, clean: Callable[[str], dict[str, Any]]
) -> None:
    bench.plant("unknown_field", "shopify", "Orders")
    outcome = bench.run(ORDERS)
    assert outcome.success
    # A part of the job runs every check of its assets, also those that only show how an SLA stands.
    # Of the orders of a day, those that were touched later lie in windows that were not read.
    beside = (": sla_", "raw_shopify/orders: days_match_the_source")
    warned = [name for name in outcome.failed_checks if not any(other in name for other in beside)]
    assert warned == ["lake_shopify/orders: all_fields_and_values_are_known (warning)"]
    assert bench.state(ORDERS)["tables"] == clean(ORDERS)["tables"]


@pytest.mark.parametrize("name", [ORDERS, TRAFFIC])
def test_a_record_with_a_wrong_type_is_set_aside_and_its_neighbours_land(
    bench: Bench, clean: Callable[[str], dict[str, Any]], name: str
) -> None:
    whole = clean(name)
    bench.plant("wrong_type", name.partition("/")[0], OPERATION[name])
    outcome = bench.run(name)
    assert outcome.success, outcome.errors
    assert outcome.assets[f"lake_{name}"] == main_rows(whole, name) - 1
    (kept,) = (path for path in lake_files(bench.stack.home) if path.startswith("quarantine/"))
    assert kept.startswith(f"quarantine/{name}/")
    bench.heal()
    assert bench.run(name).success
    assert bench.state(name)["tables"] == whole["tables"]
    assert not [path for path in lake_files(bench.stack.home) if path.startswith("quarantine/")]


def test_a_window_of_wrong_types_is_refused(bench: Bench, clean: Callable[[str], dict[str, Any]]) -> None:
    bench.plant("wrong_type", "chatwoot", OPERATION[CONVERSATIONS])
    line = failure_line(bench.run(CONVERSATIONS))
    assert re.match(
        rf"^{CONVERSATIONS} {KEY}: (\d+) of \1 records break the contract .*mend contracts/{CONVERSATIONS}.yaml", line
    )
    kept = lake_files(bench.stack.home)
    assert kept
    assert all(path.startswith(f"quarantine/{CONVERSATIONS}/") for path in kept)
    assert str(bench.stack.home / "lake" / kept[0]) in line
    assert rows_of(bench.state(CONVERSATIONS)) == 0
    bench.heal()
    assert bench.run(CONVERSATIONS).success
    assert content(bench.state(CONVERSATIONS)) == content(clean(CONVERSATIONS))


def test_an_empty_day_is_a_partition_without_rows(bench: Bench) -> None:
    """Nobody wrote on that day, long before the store's support began."""
    assert bench.run(CONVERSATIONS).success
    before = bench.state(CONVERSATIONS)
    outcome = bench.run(CONVERSATIONS, first="2025-01-15")
    assert outcome.success, outcome.errors
    state = bench.state(CONVERSATIONS)
    assert outcome.assets["lake_chatwoot/conversations"] == 0
    assert len(state["manifests"]) == len(state["loads"]) == 2
    assert state["tables"] == before["tables"]


def test_a_restated_day_that_comes_back_empty_keeps_its_rows_until_it_is_confirmed(
    bench: Bench, clean: Callable[[str], dict[str, Any]]
) -> None:
    whole = clean(TRAFFIC)["tables"]
    assert bench.run(TRAFFIC).success
    bench.plant("empty", "ga4", OPERATION[TRAFFIC])
    outcome = bench.run(TRAFFIC)
    assert outcome.success, outcome.errors
    assert outcome.failed == 1
    assert "lake_ga4/traffic_daily: no_answer_was_held_back" in outcome.failed_checks
    told = (
        "select blocking, severity from ops.check_results where check_name = 'no_answer_was_held_back' and not passed"
    )
    assert bench.stack.query(told) == [(False, "error")]
    assert bench.state(TRAFFIC)["tables"] == whole
    bench.set(second_read_after_minutes="0")
    assert bench.run(TRAFFIC).success
    assert rows_of(bench.state(TRAFFIC)) == 0
    bench.heal()
    assert bench.run(TRAFFIC).success
    assert bench.state(TRAFFIC)["tables"] == whole


def test_a_person_may_say_that_an_empty_day_is_right(bench: Bench) -> None:
    assert bench.run(TRAFFIC).success
    bench.plant("empty", "ga4", OPERATION[TRAFFIC])
    wanted = [keys.lake_key("ga4", "traffic_daily"), keys.raw_key("ga4", "traffic_daily")]
    word = {keys.FEWER_ROWS_TAG: keys.FEWER_ROWS_ACCEPTED}
    assert bench.execute(wanted, KEY, KEY, tags=word).success
    assert rows_of(bench.state(TRAFFIC)) == 0


def test_a_listing_that_comes_back_empty_marks_nothing_deleted(bench: Bench) -> None:
    newest, living = "2026-03-09", "select count(*) from raw_chatwoot.inboxes where _deleted_at is null"
    assert bench.run("chatwoot/inboxes", first=newest).success
    ((before,),) = bench.stack.query(living)
    assert before > 0
    bench.plant("empty", "chatwoot", "inboxes")
    outcome = bench.run("chatwoot/inboxes", first=newest)
    assert "lake_chatwoot/inboxes: no_answer_was_held_back" in outcome.failed_checks
    assert bench.stack.query(living) == [(before,)]


def test_a_window_shorter_than_the_source_counted_is_not_loaded_and_is_read_again(bench: Bench) -> None:
    """The day is past its re-fetch days, so only the count says that it must be read again."""
    day = "2026-03-05"
    bench.plant("empty", "shopify", "Orders")
    failed = bench.run(ORDERS, first=day, refetch=keys.REFETCH_DUE)
    assert failure_line(failed) == (
        "1 blocking asset check failed with ERROR severity: lake_shopify/orders: row_counts_match_the_source"
    )
    assert rows_of(bench.state(ORDERS)) == 0
    bench.heal()
    assert bench.run(ORDERS, first=day, refetch=keys.REFETCH_DUE).success
    assert rows_of(bench.state(ORDERS)) > 0


def test_a_routine_run_does_not_read_again_what_was_read_just_now(bench: Bench) -> None:
    assert bench.run(ORDERS).success
    loaded = bench.state(ORDERS)
    bench.plant("status", "shopify", None, status=500)
    assert bench.run(ORDERS, refetch=keys.REFETCH_DUE).success
    assert bench.state(ORDERS) == loaded
    failure_line(bench.run(ORDERS))


def test_a_full_disk_leaves_the_partition_as_it_was(
    bench: Bench, clean: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.fsync, [2]

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    line = failure_line(bench.run(ORDERS))
    assert re.match(rf"^{ORDERS} {KEY}: the disk refused .*No space left on device; the partition is as it was", line)
    assert bench.state(ORDERS)["manifests"] == {}
    assert not [path for path in lake_files(bench.stack.home) if ".partial-" in path]
    monkeypatch.setattr(os, "fsync", real)
    assert bench.run(ORDERS).success
    assert content(bench.state(ORDERS)) == content(clean(ORDERS))
    assert len(lake_files(bench.stack.home)) == 7


def test_a_session_that_is_ended_again_and_again_is_told_and_changes_nothing(
    bench: Bench, clean: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.run(ORDERS, only="lake").success

    def cut(point: str) -> None:
        if point == "load.merged":
            bench.stack.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )

    monkeypatch.setattr("hotdash_pipelines.warehouse.loading.load.reach", cut)
    failed = bench.run(ORDERS, only="raw")
    assert re.match(
        rf"^{ORDERS} {KEY}: the database server went away during the load; load again", failure_line(failed)
    )
    assert starts_of(bench, failed) == TRANSIENT
    assert rows_of(bench.state(ORDERS)) == 0
    monkeypatch.undo()
    assert bench.run(ORDERS, only="raw").success
    assert content(bench.state(ORDERS)) == content(clean(ORDERS))


@pytest.mark.slow
def test_a_server_killed_during_the_load_is_started_again_and_the_step_repeats(
    stack: Stack,
    store: RunningStandIn,
    clean: Callable[[str], dict[str, Any]],
    reachable_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The embedded server of a home of its own: SIGKILL to the postmaster between merge and commit."""
    from hotdash_pipelines.local.warehouse import prepare
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    # Durable: the load may commit before its backend sees the postmaster gone, and must then be found again.
    own = EmbeddedPostgres(reachable_tmp)
    own.up()
    try:
        prepare(own.url())
        alone = Stack(reachable_tmp, own.url(), stack.dagster_url)
        with open_bench(alone, store) as bench:
            bench.set(database_url=None)
            killed: list[int] = []

            def kill(point: str) -> None:
                if point == "load.merged" and not killed:
                    killed.append(own.status().pid)
                    os.kill(killed[0], signal.SIGKILL)

            monkeypatch.setattr("hotdash_pipelines.warehouse.loading.load.reach", kill)
            outcome = bench.run(ORDERS)
            assert outcome.success, outcome.errors
            assert killed
            assert own.status().pid != killed[0]
            bench.stack.warehouse_url = own.url()
            assert content(bench.state(ORDERS)) == content(clean(ORDERS))
    finally:
        own.destroy()


def test_loading_a_window_that_the_lake_lacks_says_what_to_run(bench: Bench) -> None:
    line = failure_line(bench.run(ORDERS, only="raw"))
    assert line == f"{ORDERS} {KEY}: the lake has no partition; materialise lake_shopify/orders first"


def test_a_day_that_is_not_over_is_read_up_to_now_and_again_when_it_is_over(bench: Bench) -> None:
    bench.set(fixed_now="2026-03-09T03:59:59+00:00")
    assert bench.run(ORDERS).success
    (manifest,) = bench.state(ORDERS)["manifests"].values()
    assert (manifest["is_open"], manifest["fetched_at"]) == (True, "2026-03-09T03:59:59+00:00")
    bench.set(fixed_now="2026-03-09T04:00:00+00:00", reread_after_minutes="30")
    assert bench.run(ORDERS, refetch=keys.REFETCH_DUE).success
    (manifest,) = bench.state(ORDERS)["manifests"].values()
    assert not manifest["is_open"]
    loads = "select is_open, complete_to from ops.lake_loads"
    assert bench.stack.query(loads) == [(False, datetime(2026, 3, 9, 4, tzinfo=UTC))]


def test_a_date_that_is_not_over_is_not_asked_for_and_says_when_it_is(bench: Bench) -> None:
    """By hand as in a range that includes today; what depends on it goes on."""
    bench.set(fixed_now="2026-03-09T03:59:59+00:00")
    assert bench.run(TRAFFIC, first="2026-03-07").success
    before = bench.state(TRAFFIC)
    bench.plant("status", "ga4", None, status=500)
    outcome = bench.run(TRAFFIC)
    assert outcome.success, outcome.errors
    assert bench.state(TRAFFIC) == before
    event = bench.instance.get_latest_materialization_event(keys.lake_key("ga4", "traffic_daily"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["not_read"].value == (
        f"{KEY}: its source counts a date once it is over; materialise it after 2026-03-09 04:00 UTC"
    )


def test_a_day_that_has_not_begun_is_refused(bench: Bench) -> None:
    bench.set(fixed_now="2026-03-08T04:59:59+00:00")
    line = failure_line(bench.run(ORDERS))
    assert re.match(rf"^{ORDERS} {KEY}: the day has not begun .*after 2026-03-08 05:00 UTC", line)


def test_an_unreachable_warehouse_is_told_with_its_address_and_without_its_password(bench: Bench) -> None:
    assert bench.run(ORDERS, only="lake").success
    bench.set(database_url=f"postgresql://hotdash:sesame-street@127.0.0.1:{closed_port()}/hotdash")
    failed = bench.run(ORDERS, only="raw")
    line = failure_line(failed)
    assert not [error for error in failed.errors if "sesame" in error]
    assert re.match(
        rf"^{ORDERS} {KEY}: the warehouse at 127.0.0.1:\d+/hotdash cannot be reached .*HOTDASH_DATABASE_URL", line
    )
    assert starts_of(bench, failed) == TRANSIENT


@pytest.mark.slow
def test_a_model_that_cannot_be_built_is_named_with_its_error(bench: Bench) -> None:
    """The table below it is gone."""
    failed = bench.execute([dg.AssetKey(["staging", "stg_ga4__landing_daily"])], KEY, KEY)
    assert failure_line(failed) == (
        'dbt: model stg_ga4__landing_daily failed: relation "raw_ga4.landing_daily" does not exist; '
        "mend that, then materialise again"
    )
