"""`hotdash alerts`: what it prints, what it sends, and its exit codes."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.alerts import Alert, SlackDestination, deliver_pending, enqueue
from hotdash_pipelines.cli import app
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.settings import get_settings
from tests.integration.alerts.harness.loopback import loopback
from tests.integration.alerts.harness.violations import NOW, news, tell, violation

Conn = psycopg.Connection[Any]
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.001, now=NOW) as stand_in:
        yield stand_in


@pytest.fixture
def slack(running: RunningStandIn) -> RunningStandIn:
    running.world.extra["slack"]._posts.clear()
    running.scenarios.clear()
    return running


@pytest.fixture
def run(warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    def run_it(*words: str, given: str | None = None, **settings: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            every = {"HOME": str(tmp_path), "DATABASE_URL": warehouse_url, "FIXED_NOW": NOW.isoformat(), **settings}
            for name, value in every.items():
                patch.setenv(f"HOTDASH_{name}", value)
            get_settings.cache_clear()
            return CliRunner().invoke(app, ["alerts", *words], input=given)

    yield run_it
    get_settings.cache_clear()


def by_bot(slack: RunningStandIn, **more: str) -> dict[str, str]:
    token = slack.credentials["slack_bot_token"]
    return {"SLACK_BOT_TOKEN": token, "SLACK_API_URL": f"{slack.url}/slack/api", "SLACK_CHANNEL": "#alerts", **more}


def posts(slack: RunningStandIn) -> list[dict[str, Any]]:
    return slack.world.extra["slack"].posts()


def test_the_list_tells_where_each_alert_stands_and_what_is_in_its_way(warehouse: Conn, run: Run) -> None:
    assert (run("list").exit_code, run("list").stdout) == (0, "no alerts\n")
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", hold_until=NOW + timedelta(hours=2), **about))
    deliver_pending(warehouse, SlackDestination(), NOW)
    listed = run("list")
    assert listed.exit_code == 1
    assert "pending" in listed.stdout
    assert "held by quiet hours until 2026-03-11 12:42 UTC" in listed.stdout
    assert "0 attempts: undeliverable: no Slack is configured" in listed.stdout
    assert "not ready in time" in listed.stdout
    shown = json.loads(run("list", "--json").stdout)
    assert (shown["slack"], shown["apprise"]) == (None, None)
    [row] = shown["alerts"]
    assert (row["state"], row["target"], row["violation_id"]) == ("pending", "team:data", about["violation_id"])
    assert json.loads(run("list", "--state", "dead", "--json").stdout)["alerts"] == []
    assert run("list", "--state", "asleep").exit_code == 2


def test_retry_gives_dead_alerts_another_chance_and_sends_them(
    warehouse: Conn, run: Run, slack: RunningStandIn
) -> None:
    for number in (1, 2):
        enqueue(warehouse, Alert(f"run:{number}", "run_failed", "critical", f"run {number} failed", ()), NOW)
    warehouse.execute("update ops.alert_outbox set state = 'dead', attempts = 10, last_error = 'Slack answered 503'")
    assert run("list").exit_code == 1
    [first, _] = [row[0] for row in warehouse.execute("select id from ops.alert_outbox order by id").fetchall()]
    single = run("retry", str(first), "--json", **by_bot(slack))
    assert (single.exit_code, json.loads(single.stdout)["sent"]) == (0, 1)
    assert [post["text"] for post in posts(slack)] == ["run 1 failed"]
    rest = run("retry", **by_bot(slack))
    assert rest.exit_code == 0
    assert rest.stdout.startswith("1 dead ones and 0 waiting ones taken up again; sent 1,")
    assert len(posts(slack)) == 2
    assert run("list").exit_code == 0


def test_retry_says_when_it_did_not_help(warehouse: Conn, run: Run, slack: RunningStandIn) -> None:
    enqueue(warehouse, Alert("run:1", "run_failed", "critical", "run 1 failed", ()), NOW)
    ran = run("retry", **by_bot(slack, SLACK_BOT_TOKEN="xoxb-wrong"))
    assert ran.exit_code == 1
    assert "undeliverable 1" in ran.stdout
    assert "xoxb" not in ran.output
    assert run("retry", **by_bot(slack)).exit_code == 0


def test_a_test_message_says_where_it_went(run: Run, slack: RunningStandIn) -> None:
    ran = run("test", "--to", "team:support", **by_bot(slack, SLACK_CHANNELS="team:support=#support"))
    assert (ran.exit_code, ran.stdout) == (0, "sent to #support by the bot\n")
    ran = run("test", "--json", SLACK_WEBHOOK_URL=slack.credentials["slack_webhook_url"])
    assert json.loads(ran.stdout)["slack"] == "webhook"
    assert [post["channel"] for post in posts(slack)] == ["#support", "#alerts"]
    assert "nothing is wrong" in posts(slack)[0]["text"]


def test_a_test_message_goes_by_the_channel_that_is_named(run: Run, slack: RunningStandIn) -> None:
    with loopback() as server:
        urls = f"json://127.0.0.1:{server.port}/hunter2 team:x=json://127.0.0.1:{server.port}"
        ran = run("test", "--channel", "apprise", **by_bot(slack, ALERT_URLS=urls))
        assert (ran.exit_code, ran.stdout) == (0, "sent to all json, team:x json by apprise\n")
        assert len(server.accepted) == 2
        ran = run("test", "--to", "team:x", "--json", ALERT_URLS=urls)
        assert json.loads(ran.stdout)["channel"] == "team:x json"
        assert len(server.accepted) == 3
        server.status = 500
        ran = run("test", "--channel", "apprise", ALERT_URLS=urls)
        assert (ran.exit_code, ran.stderr) == (1, "hotdash: all json answered 500\n")
        assert "hunter2" not in ran.output
    assert run("test", "--channel", "apprise").exit_code == 1
    assert posts(slack) == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "no Slack is configured"),
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "invalid_auth: check HOTDASH_SLACK_BOT_TOKEN"),
        ({"SLACK_CHANNEL": ""}, "there is no default channel: set HOTDASH_SLACK_CHANNEL"),
    ],
)
def test_a_test_message_that_cannot_be_sent_says_why_in_one_line(
    run: Run, slack: RunningStandIn, settings: dict[str, str], reason: str
) -> None:
    ran = run("test", **(by_bot(slack, **settings) if settings else {}))
    assert ran.exit_code == 1
    assert ran.stdout == ""
    assert reason in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert posts(slack) == []


def test_a_webhook_is_checked_from_standard_input_or_the_environment_without_a_message(
    run: Run, slack: RunningStandIn
) -> None:
    address = slack.credentials["slack_webhook_url"]
    ran = run("configure", "--slack-webhook", given=f"{address}\n")
    assert ran.exit_code == 0
    assert "set HOTDASH_SLACK_WEBHOOK_URL to it" in ran.stdout
    ran = run("configure", "--slack-webhook", "--json", SLACK_WEBHOOK_URL=address)
    assert json.loads(ran.stdout) == {"known": True, "is_set": True}
    wrong = run("configure", "--slack-webhook", given=f"{address}x\n")
    assert wrong.exit_code == 1
    assert "does not know this webhook" in wrong.stderr
    for secret in (address.rpartition("/")[2],):
        assert secret not in ran.output + wrong.output
    assert run("configure", "--slack-webhook", given="").exit_code == 2
    assert run("configure").exit_code == 2
    assert posts(slack) == []
