"""The outbox against Postgres: once in, sent once, waiting when Slack is away, dead when it never will be."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from hotdash_pipelines.alerts import Alert, Delivery, SlackDestination, deliver_pending, enqueue, requeue_dead
from hotdash_pipelines.alerts.message import Block, line
from hotdash_pipelines.warehouse.postgres import connect

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
WEBHOOK = SlackDestination(webhook_url="https://hooks.example.org/services/T000/B000/s3cr3t")


class Slack(httpx.MockTransport):
    """A webhook that keeps what it accepts and answers as it is told to; the last answer is repeated."""

    def __init__(self, *answers: int | httpx.Response | type[httpx.TransportError]) -> None:
        super().__init__(self._answer)
        self.answers = list(answers) or [200]
        self.accepted: list[dict[str, Any]] = []
        self.asked = 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.read() == b"{}":
            # How a real webhook answers a question without a message.
            return httpx.Response(400, text="no_text")
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, type):
            raise answer("no connection to s3cr3t")
        response = httpx.Response(answer) if isinstance(answer, int) else answer
        if response.is_success:
            self.accepted.append(json.loads(request.read()))
        return response

    @property
    def texts(self) -> list[str]:
        return [payload["text"] for payload in self.accepted]


def alert(key: str) -> Alert:
    return Alert(key, "run_failed", "critical", f"{key} failed", (Block("text", (line("Look at it."),)),))


@pytest.fixture
def put(warehouse: psycopg.Connection[Any]) -> Callable[..., None]:
    def put_alerts(*keys: str) -> None:
        for key in keys:
            assert enqueue(warehouse, alert(key), NOW)

    return put_alerts


@pytest.fixture
def drain(warehouse_url: str) -> Callable[..., Delivery]:
    def drain_outbox(slack: Slack, now: datetime = NOW, **options: Any) -> Delivery:
        with connect(warehouse_url) as conn:
            return deliver_pending(conn, WEBHOOK, now, transport=slack, **options)

    return drain_outbox


def rows(conn: psycopg.Connection[Any], columns: str) -> list[tuple[Any, ...]]:
    return conn.execute(f"select {columns} from ops.alert_outbox order by id").fetchall()


def test_an_alert_is_sent_once_and_in_order(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1", "run:2")
    slack = Slack()
    assert drain(slack) == Delivery(sent=2)
    assert drain(slack) == Delivery()
    assert slack.texts == ["run:1 failed", "run:2 failed"]
    assert rows(warehouse, "state, delivered_at, attempts, last_error") == [("delivered", NOW, 1, None)] * 2


def test_a_row_of_an_earlier_version_is_sent_as_it_was_kept(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1")
    kept = {"text": "run &amp; 1", "blocks": [{"type": "divider"}], "reply_broadcast": True}
    warehouse.execute("update ops.alert_outbox set payload = %s", (json.dumps(kept),))
    slack = Slack()
    assert drain(slack) == Delivery(sent=1)
    [sent] = slack.accepted
    assert (sent["text"], sent["blocks"][0], "reply_broadcast" in sent) == ("run &amp; 1", {"type": "divider"}, False)


def test_a_message_carries_its_number(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1")
    slack = Slack()
    drain(slack)
    [(number,)] = rows(warehouse, "id")
    assert slack.accepted[0]["blocks"] == [
        {"type": "section", "text": {"type": "mrkdwn", "text": "Look at it."}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": f"alert {number}"}]},
    ]


def test_the_same_alert_is_put_in_once(warehouse: psycopg.Connection[Any], drain: Callable[..., Delivery]) -> None:
    slack = Slack()
    assert enqueue(warehouse, alert("run:1"), NOW) is True
    assert enqueue(warehouse, alert("run:1"), NOW) is False
    drain(slack)
    assert enqueue(warehouse, alert("run:1"), NOW) is False
    assert drain(slack) == Delivery()
    assert slack.texts == ["run:1 failed"]


def test_an_alert_of_a_transaction_that_rolls_back_is_never_sent(
    warehouse_url: str, warehouse: psycopg.Connection[Any], drain: Callable[..., Delivery]
) -> None:
    with connect(warehouse_url) as conn:
        assert enqueue(conn, alert("run:1"), NOW)
        conn.rollback()
    slack = Slack()
    assert drain(slack) == Delivery()
    assert slack.asked == 0


def test_two_deliverers_at_once_send_every_alert_once(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put(*(f"run:{number}" for number in range(6)))
    together = threading.Barrier(2, timeout=20)
    met: set[int] = set()
    slack = Slack()
    first = slack.handler

    def meet(request: httpx.Request) -> httpx.Response:
        # Both hold a row at this moment, so neither can have had all of them to itself.
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            together.wait()
        return first(request)

    slack.handler = meet
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: drain(slack), range(2)))
    assert sorted(slack.texts) == [f"run:{number} failed" for number in range(6)]
    assert sum(delivery.sent for delivery in done) == 6
    assert all(delivery.sent for delivery in done)


def test_a_429_holds_the_whole_webhook_for_as_long_as_slack_says(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1", "run:2")
    slack = Slack(httpx.Response(429, headers={"Retry-After": "17"}), 200)
    assert drain(slack) == Delivery(failed=1, waiting=2)
    assert rows(warehouse, "state, attempts, next_attempt_at") == [("pending", 0, NOW + timedelta(seconds=17))] * 2
    assert drain(slack, NOW + timedelta(seconds=16)) == Delivery(waiting=2)
    assert slack.asked == 1
    assert drain(slack, NOW + timedelta(seconds=17)) == Delivery(sent=2)
    assert slack.texts == ["run:1 failed", "run:2 failed"]


def test_a_slack_that_asks_to_wait_no_time_at_all_is_not_asked_without_end(
    put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1")
    slack = Slack(*[httpx.Response(429, headers={"Retry-After": "0"})] * 3, 200)
    assert drain(slack) == Delivery(failed=1, waiting=1)
    assert slack.asked == 1


@pytest.mark.parametrize("outage", [503, 429, httpx.ConnectError, httpx.ReadTimeout])
def test_after_an_outage_everything_is_sent_once_and_in_order(
    warehouse: psycopg.Connection[Any],
    put: Callable[..., None],
    drain: Callable[..., Delivery],
    outage: int | type[httpx.TransportError],
) -> None:
    put("run:1", "run:2", "run:3")
    slack = Slack(outage, outage, 200)
    assert drain(slack) == Delivery(failed=2, waiting=3)
    left = rows(warehouse, "state, attempts, next_attempt_at, last_error")
    assert [row[:3] for row in left] == [("pending", attempts, NOW + timedelta(seconds=30)) for attempts in (1, 1, 0)]
    assert left[0][3].startswith("Slack ")
    put("run:4")
    assert drain(slack, NOW + timedelta(seconds=29)) == Delivery(waiting=4)
    assert slack.asked == 2
    assert drain(slack, NOW + timedelta(seconds=30)) == Delivery(sent=4)
    assert slack.texts == [f"run:{number} failed" for number in (1, 2, 3, 4)]


def test_a_message_that_fails_alone_does_not_stop_the_others(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1", "run:2")
    slack = Slack(503, 200)
    assert drain(slack) == Delivery(sent=1, failed=1, waiting=1)
    assert rows(warehouse, "state, attempts") == [("pending", 1), ("delivered", 1)]
    assert drain(slack, NOW + timedelta(seconds=30)) == Delivery(sent=1)
    assert slack.texts == ["run:2 failed", "run:1 failed"]


def test_waits_double_up_to_an_hour_and_then_the_alert_is_dead(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1")
    slack = Slack(503)
    now, waits = NOW, []
    for _ in range(9):
        assert drain(slack, now) == Delivery(failed=1, waiting=1)
        [(due,)] = rows(warehouse, "next_attempt_at")
        waits.append((due - now).total_seconds())
        now = due
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert drain(slack, now) == Delivery(failed=1, dead=1)
    assert rows(warehouse, "state, attempts, last_error") == [("dead", 10, "Slack answered 503")]
    assert drain(slack, now + timedelta(days=1)) == Delivery()


def test_a_refused_alert_is_dead_at_once_and_does_not_stop_the_others(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1", "run:2")
    slack = Slack(400, 200)
    assert drain(slack) == Delivery(sent=1, failed=1, dead=1)
    assert rows(warehouse, "state, attempts") == [("dead", 1), ("delivered", 1)]
    assert slack.texts == ["run:2 failed"]


def test_dead_alerts_can_be_given_another_chance(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1")
    slack = Slack(400, 200)
    drain(slack)
    assert requeue_dead(warehouse, NOW) == 1
    assert drain(slack) == Delivery(sent=1)
    assert requeue_dead(warehouse, NOW) == 0


def test_without_a_webhook_alerts_wait_and_say_so(
    warehouse_url: str, warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1")
    with connect(warehouse_url) as conn:
        assert deliver_pending(conn, SlackDestination(), NOW) == Delivery(waiting=1, undeliverable=1)
    [(state, attempts, error)] = rows(warehouse, "state, attempts, last_error")
    assert (state, attempts) == ("pending", 0)
    assert error.startswith("undeliverable: no Slack is configured")
    slack = Slack()
    assert drain(slack) == Delivery(sent=1)
    assert rows(warehouse, "last_error") == [(None,)]


def test_a_webhook_that_is_no_url_leaves_alerts_waiting(
    warehouse_url: str, warehouse: psycopg.Connection[Any], put: Callable[..., None]
) -> None:
    put("run:1")
    with connect(warehouse_url) as conn:
        wrong = SlackDestination(webhook_url="s3cr3t")
        assert deliver_pending(conn, wrong, NOW) == Delivery(waiting=1, undeliverable=1)
    assert rows(warehouse, "last_error") == [("undeliverable: HOTDASH_SLACK_WEBHOOK_URL is no http(s) URL",)]


def test_a_crash_between_answer_and_commit_repeats_that_alert_only(
    warehouse: psycopg.Connection[Any], put: Callable[..., None], drain: Callable[..., Delivery]
) -> None:
    put("run:1", "run:2")
    slack = Slack()
    accept = slack.handler

    def accept_and_crash(request: httpx.Request) -> httpx.Response:
        accept(request)
        if slack.asked == 2:
            raise KeyboardInterrupt
        return httpx.Response(200)

    slack.handler = accept_and_crash
    with pytest.raises(KeyboardInterrupt):
        drain(slack)
    assert rows(warehouse, "state") == [("delivered",), ("pending",)]
    slack.handler = accept
    assert drain(slack) == Delivery(sent=1)
    assert slack.texts == ["run:1 failed", "run:2 failed", "run:2 failed"]


def test_a_connection_inside_a_transaction_is_refused(warehouse_url: str, put: Callable[..., None]) -> None:
    put("run:1")
    with connect(warehouse_url) as conn:
        conn.execute("select 1")
        with pytest.raises(ValueError, match="outside a transaction"):
            deliver_pending(conn, WEBHOOK, NOW, transport=Slack())


@pytest.mark.parametrize("answer", [200, 429, 503, 404, httpx.ConnectError])
def test_the_webhook_stands_neither_in_the_table_nor_in_the_log(
    warehouse: psycopg.Connection[Any],
    put: Callable[..., None],
    drain: Callable[..., Delivery],
    caplog: pytest.LogCaptureFixture,
    answer: int | type[httpx.TransportError],
) -> None:
    caplog.set_level(logging.DEBUG)
    put("run:1")
    drain(Slack(answer))
    stored = warehouse.execute("select json_agg(alert_outbox)::text from ops.alert_outbox").fetchone()
    assert "s3cr3t" not in str(stored) + caplog.text
