"""What is told of a broken promise, and what is not."""

import json
from datetime import timedelta
from typing import Any

import pytest

from hotdash_pipelines.alerts import Alert
from hotdash_pipelines.alerts.channels.slack.block_kit import escape_mention
from hotdash_pipelines.alerts.wording.violations import ViolationNews, violation_alerts
from hotdash_pipelines.demo.slack.routes import _objection
from tests.integration.alerts.harness.violations import LINKS, NOW, news
from tests.unit.alerts.letters import as_slack_takes

NUMBERS = {"violation_id": 7, "incident_id": 3}


def alerts(kind: str, **more: Any) -> tuple[Alert, ...]:
    return violation_alerts(news(kind, **{**NUMBERS, **more}), LINKS)


def shown(alert: Alert) -> str:
    return json.dumps(as_slack_takes(alert)["blocks"], ensure_ascii=False)


def test_an_opening_tells_what_since_when_how_far_off_what_depends_on_it_and_whose_it_is() -> None:
    behind = tuple(f"marts_core/fct_{number} (nightly_{number}, team:data)" for number in range(15))
    [alert] = alerts(
        "opened", behind=behind, assets=("metrics/agg_sales_daily",), tiles=("Sales Pulse",), run_id="0b7a9f12-8d7e"
    )
    text = shown(alert)
    for part in (
        ":red_circle: [prod] marts_core/fct_order 2026-03-10: not ready in time",
        "not there, 42 minutes late",
        "*Now*\\n42 minutes late",
        "*Promised*\\nby 06:00 America/New_York",
        "*Since*\\n2026-03-11 06:00 EDT (10:00 UTC)\\nfor 42 min",
        "*Severity*\\nhigh",
        "*Owner*\\nteam:data",
        "*Dashboards* (1): Sales Pulse",
        "*Made from it* (1): metrics/agg_sales_daily",
        "*Late behind it* (15)",
        "marts_core/fct_9 (nightly_9, team:data)",
        "and 5 more",
        "http://127.0.0.1:3000/assets/marts_core/fct_order?view=checks|Asset",
        "http://127.0.0.1:3000/runs/0b7a9f12-8d7e|Run 0b7a9f12",
        "https://docs.example.org/docs/runbooks/marts-late.md|Runbook",
        "hotdash sla ack nightly_marts_ready --by YOU",
    ):
        assert part in text, part
    assert "fct_10 " not in text
    assert alert.text == (
        "[prod] marts_core/fct_order 2026-03-10: not ready in time, high: not there, 42 minutes late (promised by "
        "06:00 America/New_York on 2026-03-11); since 2026-03-11 10:00 UTC, owner team:data"
    )
    assert (alert.dedupe_key, alert.thread_key) == ("violation:7:opened:0", news("opened").incident)
    assert (alert.target, alert.severity, alert.broadcast) == ("team:data", "high", True)


@pytest.mark.parametrize(
    ("kind", "more", "part", "text"),
    [
        ("escalated", {"level": 2}, "*Escalated* (level 2): broken for 42 min and not ack", "escalated (level 2)"),
        ("raised", {"severity": "critical"}, "*Now critical*", "raised to critical: "),
        ("unsuppressed", {}, "*Still broken* after what was behind it", "[prod] "),
        ("opened", {"reopened": 2}, "*It is back*: time 3 in this incident", "[prod] marts_core/fct_order"),
        ("acknowledged", {"acked_by": "Dana"}, "*Acknowledged* by Dana; it escalates no further", "acknowledged: "),
        ("suppressed", {"suppressed_by": "orders_in_time"}, "`orders_in_time` is behind it", "quiet, "),
        ("resolved", {}, "*Resolved* after 1 h 21 min · 2026-03-11 07:21 EDT (11:", "resolved after"),
        ("resolved", {"reason": "retired"}, "*Closed: the SLA was removed* after 1 h", "closed: the sla was removed"),
        ("resolved", {"reason": "known", "is_unknown": True}, "*Known again*", "known again after"),
    ],
)  # fmt: skip
def test_every_event_has_its_words(kind: str, more: dict[str, Any], part: str, text: str) -> None:
    alert = alerts(kind, **more)[0]
    assert part in shown(alert)
    assert alert.text.startswith(text)
    assert "marts_core/fct_order" in alert.text


def test_the_end_is_an_answer_and_an_edit_that_strikes_the_title_and_drops_the_impact() -> None:
    reply, edit = alerts("resolved", tiles=("Sales Pulse",))
    assert (reply.action, edit.action) == ("reply", "update")
    assert (reply.everywhere, edit.everywhere) == (True, True)
    assert edit.dedupe_key == f"{reply.dedupe_key}:edit"
    assert as_slack_takes(edit)["blocks"][0]["text"]["text"].startswith(
        "*~[prod] marts_core/fct_order 2026-03-10: not ready in time~*\n"
    )
    assert "*Last seen*" in shown(edit)
    assert "Sales Pulse" not in shown(edit)
    assert "sla ack" not in shown(reply) + shown(edit)


def test_what_was_said_with_an_acknowledgement_is_read_in_the_thread() -> None:
    reply, _ = alerts("acknowledged", acked_by="Dana", told="acknowledged by Dana; ask ann@example.com")
    assert "> ask (e-mail)" in shown(reply)
    silent, _ = alerts("acknowledged", acked_by="Dana", told="acknowledged by Dana")
    assert len(silent.blocks) == len(reply.blocks) - 1


def test_an_acknowledged_violation_keeps_its_facts_and_shows_by_whom() -> None:
    _, edit = alerts("acknowledged", acked_by="Dana", tiles=("Sales Pulse",))
    assert "not ready in time" in shown(edit)
    assert "~" not in shown(edit)
    assert "*Acknowledged* by Dana" in shown(edit)
    assert "Sales Pulse" in shown(edit)


def test_what_is_not_known_links_to_why_that_is() -> None:
    [alert] = alerts("opened", is_unknown=True, title="nobody can tell how it is", actual="not known")
    assert "runbooks/sla-unknown.md" in shown(alert)
    assert "runbooks/marts-late.md" in shown(alert)


def test_a_warning_is_a_message_of_its_own() -> None:
    [alert] = violation_alerts(news("warned", incident=None), LINKS)
    assert (alert.action, alert.thread_key, alert.violation_id) == ("post", None, None)
    assert alert.text.startswith("warning: ")
    [later] = violation_alerts(news("warned", incident=None, at=NOW + timedelta(hours=9)), LINKS)
    assert later.dedupe_key != alert.dedupe_key


def test_a_dataset_that_is_no_asset_has_no_link_to_one() -> None:
    [alert] = alerts("opened", dataset="pipeline")
    assert "/assets/" not in shown(alert)
    assert "|Runs>" in shown(alert)


def test_personal_data_tokens_and_markup_stay_out() -> None:
    planted = 'could not read <!channel> for ada@example.org: password=hunter2 & "Ada Lovelace" https://u:pw@db/x'
    for kind in ("opened", "resolved", "acknowledged"):
        for alert in alerts(kind, told=planted, acked_by="ada@example.org <!here>", behind=("<b> & co",)):
            text = json.dumps(as_slack_takes(alert))
            for secret in ("ada@", "hunter2", "u:pw@", "<!channel>", "<!here>", "<b>"):
                assert secret not in text, (kind, secret)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("@here", "<!here>"),
        ("<!channel>", "<!channel>"),
        ("<@U012AB3CD>", "<@U012AB3CD>"),
        ("<!subteam^S012>", "<!subteam^S012>"),
        ("Dana <b>", "Dana &lt;b&gt;"),
        ("<@U1> <x>", "&lt;@U1&gt; &lt;x&gt;"),
    ],
)
def test_a_mention_wakes_whom_it_names(given: str, sent: str) -> None:
    assert escape_mention(given) == sent


@pytest.mark.parametrize("kind", ["opened", "escalated", "resolved", "acknowledged", "suppressed", "warned"])
def test_messages_stay_within_the_limits_of_block_kit(kind: str) -> None:
    long = "x" * 5000
    big: ViolationNews = news(
        kind, **NUMBERS, told=long, title=long, mention="@here", acked_by=long, suppressed_by="s" * 50, peak="p" * 500,
        behind=tuple(f"{number}{'y' * 400}" for number in range(500)), tiles=tuple("t" * 300 for _ in range(40)),
        assets=tuple("a" * 300 for _ in range(400)),
    )  # fmt: skip
    for alert in violation_alerts(big, LINKS):
        body = as_slack_takes(alert)
        assert _objection(body) is None
        assert len(body["blocks"]) <= 50
        for block in body["blocks"]:
            assert all(len(field["text"]) <= 2000 for field in block.get("fields", ()))


def test_an_instant_on_another_day_in_utc_says_so() -> None:
    late = NOW.replace(hour=2, minute=0)
    [alert] = alerts("opened", since=late, at=late)
    assert "2026-03-10 22:00 EDT (03-11 02:00 UTC)" in shown(alert)
