"""The addresses of HOTDASH_ALERT_URLS: who is told of what, and what a failure costs."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from typing import Any

import pytest

from hotdash_pipelines.alerts import Delivery, SlackDestination, deliver_everywhere, enqueue_all, requeue_dead
from hotdash_pipelines.alerts.channels.apprise.destination import AppriseDestination, AppriseEntry
from hotdash_pipelines.alerts.channels.channel import Destination
from hotdash_pipelines.alerts.wording.violations import violation_alerts
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.settings.alert_urls import parse_alert_urls
from tests.integration.alerts.harness.loopback import SECRET, Loopback, loopback, post_office
from tests.integration.alerts.harness.threads import Conn, posts, rows
from tests.integration.alerts.harness.violations import LINKS, NOW, news, violation

To = Callable[[str], tuple[Destination, ...]]


@pytest.fixture
def service() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def to(text: str, *others: Destination) -> tuple[Destination, ...]:
    """The destinations of HOTDASH_ALERT_URLS."""
    entries = [
        AppriseEntry(entry.name, entry.url.get_secret_value(), entry.owners, entry.severity)
        for entry in parse_alert_urls(text)
    ]
    return (*others, AppriseDestination(tuple(entries)))


def tell(conn: Conn, destinations: tuple[Destination, ...], kind: Any, **more: Any) -> int:
    return enqueue_all(conn, violation_alerts(news(kind, **more), LINKS), NOW, destinations)


def drain(conn: Conn, destinations: tuple[Destination, ...], after: float = 0) -> Delivery:
    return deliver_everywhere(conn, destinations, NOW + timedelta(seconds=after))


def test_owner_and_severity_decide_which_addresses_are_told(warehouse: Conn, service: Loopback) -> None:
    address = f"json://127.0.0.1:{service.port}"
    destinations = to(
        f"{address}/all, team:data={address}/data team:support={address}/support,"
        f"high={address}/high critical={address}/critical, team:data+medium={address}/both"
    )
    tell(warehouse, destinations, "opened", **violation(warehouse, "late"))
    assert [row[0] for row in rows(warehouse, "target")] == [
        "all json", "team:data json", "high json", "team:data+medium json",
    ]  # fmt: skip
    assert drain(warehouse, destinations) == Delivery(sent=4)


def test_a_thread_is_short_messages_that_name_their_incident_and_an_edit_is_left_out(
    warehouse: Conn, service: Loopback
) -> None:
    destinations = to(f"json://127.0.0.1:{service.port}")
    about = violation(warehouse, "late")
    tell(warehouse, destinations, "opened", mention="@here", **about)
    tell(warehouse, destinations, "escalated", level=1, **about)
    tell(warehouse, destinations, "resolved", **about)
    assert drain(warehouse, destinations) == Delivery(sent=3)
    titles = [body["title"] for body in service.accepted]
    assert [title.partition("[prod]")[0] for title in titles] == [
        "", "escalated (level 1): ", "resolved after 1 h 21 min: ",
    ]  # fmt: skip
    first = service.accepted[0]
    assert (first["type"], first["message"].partition("\n")[0]) == ("failure", "@here")
    for part in (
        "> not there, 42 minutes late",
        "Now: 42 minutes late\n",
        "Since: 2026-03-11 06:00 EDT (10:00 UTC), for 42 min\n",
        "Runbook: https://docs.example.org/docs/runbooks/marts-late.md",
    ):
        assert part in first["message"], part
    assert all(f"incident {about['incident_id']}" in body["message"] for body in service.accepted)


def test_the_end_reaches_everybody_who_was_told_and_slack_is_edited(
    warehouse: Conn, service: Loopback, slack: RunningStandIn, bot: SlackDestination
) -> None:
    destinations = to(f"critical=json://127.0.0.1:{service.port}", bot)
    about = violation(warehouse, "late")
    tell(warehouse, destinations, "opened", **about)
    tell(warehouse, destinations, "escalated", level=1, **about | {"severity": "critical"})
    tell(warehouse, destinations, "resolved", **about)
    assert drain(warehouse, destinations) == Delivery(sent=6)
    assert [body["title"].partition(" ")[0] for body in service.accepted] == ["escalated", "resolved"]
    first, _, last = posts(slack)
    assert first["edited_ts"]
    assert last["thread_ts"] == first["ts"]


def test_an_address_that_is_away_holds_up_itself_alone_and_nothing_is_told_twice(
    warehouse: Conn, service: Loopback
) -> None:
    with loopback() as away:
        destinations = to(f"json://127.0.0.1:{away.port} json://127.0.0.1:{service.port}")
    for number in range(3):
        tell(warehouse, destinations, "warned", incident=None, partition=str(number))
    assert drain(warehouse, destinations) == Delivery(sent=3, failed=2, waiting=3)
    failed = warehouse.execute(
        "select attempts, next_attempt_at - %s, last_error from ops.alert_outbox where state = 'pending' order by id",
        (NOW,),
    ).fetchall()
    assert [row[:2] for row in failed] == [(attempts, timedelta(seconds=30)) for attempts in (1, 1, 0)]
    assert failed[0][2] == "all json could not be reached"
    assert drain(warehouse, destinations, 29) == Delivery(waiting=3)
    mended = to(f"json://127.0.0.1:{service.port}/mended json://127.0.0.1:{service.port}")
    assert drain(warehouse, mended, 30) == Delivery(sent=3)
    assert len(service.accepted) == 6


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        (429, "pending", "all json answered 429"),
        (503, "pending", "all json answered 503"),
        (401, "pending", "undeliverable: all json answered 401: check its address in HOTDASH_ALERT_URLS"),
        (410, "pending", "undeliverable: all json answered 410: check its address in HOTDASH_ALERT_URLS"),
        (400, "dead", "all json answered 400: it does not take this message"),
    ],
)
def test_what_a_service_answers_is_tried_again_waits_for_the_settings_or_is_dead(
    warehouse: Conn, service: Loopback, status: int, state: str, error: str
) -> None:
    destinations = to(f"json://127.0.0.1:{service.port}/{SECRET}")
    service.status = status
    tell(warehouse, destinations, "warned", incident=None)
    drain(warehouse, destinations)
    assert rows(warehouse, "state, last_error") == [(state, error)]
    service.status = 200
    requeue_dead(warehouse, NOW)
    assert drain(warehouse, destinations, 600) == Delivery(sent=1)


def test_a_service_that_takes_a_message_without_an_answer_gets_it_twice_at_most(
    warehouse: Conn, service: Loopback
) -> None:
    destinations = to(f"json://127.0.0.1:{service.port}?rto=0.3")
    service.status = None
    tell(warehouse, destinations, "warned", incident=None)
    for after in range(0, 300, 30):
        drain(warehouse, destinations, after)
    assert service.asked == 2
    [(state, error)] = rows(warehouse, "state, last_error")
    assert state == "dead"
    assert error.startswith("all json did not answer, for the second time")


def test_an_entry_that_was_taken_out_leaves_nothing_waiting(warehouse: Conn, service: Loopback) -> None:
    tell(
        warehouse,
        to(f"critical+team:data=json://127.0.0.1:{service.port}"),
        "warned",
        incident=None,
        severity="critical",
    )
    assert drain(warehouse, to(f"json://127.0.0.1:{service.port}")) == Delivery(failed=1, dead=1)
    [(error,)] = rows(warehouse, "last_error")
    assert error == "HOTDASH_ALERT_URLS has no entry 'critical+team:data json' any more"


def test_an_address_that_apprise_cannot_read_is_named_and_costs_the_others_nothing(
    warehouse: Conn, service: Loopback, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    destinations = to(f"high=discord://{SECRET} json://127.0.0.1:{service.port}/{SECRET}")
    tell(warehouse, destinations, "opened", **violation(warehouse, "late"))
    assert drain(warehouse, destinations) == Delivery(sent=1, failed=1, waiting=1, undeliverable=1)
    [error] = [error for (error,) in rows(warehouse, "last_error") if error]
    assert error == "undeliverable: HOTDASH_ALERT_URLS: apprise cannot read the address of 'high discord'"
    stored = warehouse.execute("select json_agg(alert_outbox)::text from ops.alert_outbox").fetchone()
    assert SECRET not in str(stored) + caplog.text + "".join(capfd.readouterr())


def test_a_mail_arrives_with_a_subject_and_a_refused_one_is_dead(warehouse: Conn) -> None:
    with post_office() as office:
        destinations = to(
            f"mailto://127.0.0.1:{office.port}?from=hotdash@example.org&to=dana@example.org&mode=insecure"
        )
        tell(warehouse, destinations, "warned", incident=None)
        assert drain(warehouse, destinations) == Delivery(sent=1)
        [mail] = [message_from_bytes(raw) for raw in office.mails]
        assert "not ready in time" in str(make_header(decode_header(mail["Subject"])))
        assert "dana@example.org" in str(mail["To"])
        office.refusal = "550 nobody here"
        tell(warehouse, destinations, "warned", incident=None, partition="another")
        assert drain(warehouse, destinations, 1) == Delivery(failed=1, dead=1)
        assert rows(warehouse, "last_error")[1] == (
            "all mailto: the mail server answered 550: it does not take this message",
        )
        office.refusal = "451 later"
        requeue_dead(warehouse, NOW)
        assert drain(warehouse, destinations, 2) == Delivery(failed=1, waiting=1)
        office.refusal = ""
        assert drain(warehouse, destinations, 40) == Delivery(sent=1)
