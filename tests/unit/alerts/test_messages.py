"""What alerts say, and what they never say."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hotdash_pipelines.alerts import (
    Alert,
    FailedCheck,
    FailedRun,
    FailedStep,
    Links,
    failed_checks_alert,
    failed_run_alert,
)
from hotdash_pipelines.redaction.scrub import safe_line
from tests.unit.alerts.letters import as_slack_takes

LINKS = Links("http://127.0.0.1:3000/", "https://docs.example.org/docs")
RUN = FailedRun(
    run_id="0b7a9f12-8d7e-4a55-9c7b-2f8a3f6a1c11",
    root_run_id="5c1d0f2e-1111-4a55-9c7b-2f8a3f6a1c11",
    job="nightly_job",
    environment="prod",
    owner="team:data",
    failed_at=datetime(2026, 3, 10, 5, 12, tzinfo=timezone(timedelta(hours=-4))),
    started_at=datetime(2026, 3, 10, 8, 0, tzinfo=UTC),
    failed_steps=(
        FailedStep(
            "raw_shopify__orders",
            "shopify/orders 2026-03-09: 401 from the token endpoint; set HOTDASH_SHOPIFY_CLIENT_SECRET anew",
        ),
    ),
)
CHECK = FailedCheck(
    asset="raw_shopify/orders",
    check="order_ids_are_unique",
    message="3 of 1000 rows break it: An order stands twice.",
    since=datetime(2026, 3, 9, 8, 5, tzinfo=UTC),
    owner="team:data",
)

BEHIND_THE_CHECK = FailedStep(
    "expectations__orders",
    f"1 blocking asset check failed with ERROR severity: {CHECK.asset}: {CHECK.check}",
)


def shown(alert: Alert) -> str:
    return json.dumps(as_slack_takes(alert)["blocks"], ensure_ascii=False)


def test_a_failed_run_says_what_since_when_whose_and_where_to_look() -> None:
    alert = failed_run_alert(RUN, LINKS)
    text = shown(alert)
    for part in (
        "[prod] nightly_job failed",
        "2026-03-10 09:12 UTC",
        "team:data",
        "raw_shopify__orders",
        "401 from the token endpoint",
        f"http://127.0.0.1:3000/runs/{RUN.run_id}",
        "https://docs.example.org/docs/runbooks/run-failed.md",
    ):
        assert part in text
    assert alert.text == (
        "[prod] nightly_job failed at 2026-03-10 09:12 UTC, owner team:data: "
        "shopify/orders 2026-03-09: 401 from the token endpoint; set HOTDASH_SHOPIFY_CLIENT_SECRET anew"
    )


def test_a_job_with_a_runbook_of_its_own_links_to_it() -> None:
    run = replace(RUN, job="backup_job", runbook="docs/runbooks/backup-failed.md")
    for text in (shown(failed_run_alert(run, LINKS)), shown(failed_checks_alert(run, [CHECK], LINKS))):
        assert "https://docs.example.org/docs/runbooks/backup-failed.md" in text
        assert "run-failed.md" not in text


def test_failed_checks_say_what_since_when_whose_and_where_to_look() -> None:
    alert = failed_checks_alert(replace(RUN, failed_steps=(BEHIND_THE_CHECK,)), [CHECK], LINKS)
    text = shown(alert)
    for part in (
        "[prod] 1 blocking check failed in nightly_job",
        "http://127.0.0.1:3000/assets/raw_shopify/orders?view=checks",
        "order_ids_are_unique",
        "3 of 1000 rows break it",
        "2026-03-09 08:05 UTC",
        "https://docs.example.org/docs/runbooks/quality-check-failed.md",
        f"/runs/{RUN.run_id}",
    ):
        assert part in text
    assert "raw_shopify/orders order_ids_are_unique, since 2026-03-09 08:05 UTC, owner team:data" in alert.text


def test_a_failed_run_and_its_failed_checks_are_one_alert() -> None:
    alone, explained = failed_run_alert(RUN, LINKS), failed_run_alert(RUN, LINKS, [CHECK])
    assert alone.dedupe_key == explained.dedupe_key == failed_checks_alert(RUN, [CHECK], LINKS).dedupe_key
    assert explained.kind == "checks_failed"


def test_streams_that_failed_beside_a_check_are_told_with_it() -> None:
    closed = FailedStep("lake_chatwoot__messages", "chatwoot/messages 2026-03-09: answered 500")
    run = replace(RUN, failed_steps=(BEHIND_THE_CHECK, *RUN.failed_steps, closed))
    alert = failed_run_alert(run, LINKS, [replace(CHECK, owner="team:support")])
    text = shown(alert)
    for part in (
        "[prod] 1 blocking check and 2 steps failed in nightly_job",
        "order_ids_are_unique",
        "3 of 1000 rows break it",
        "raw_shopify__orders, lake_chatwoot__messages",
        "401 from the token endpoint",
        "chatwoot/messages 2026-03-09: answered 500",
    ):
        assert part in text, part
    assert "order_ids_are_unique" in alert.text
    assert "401 from the token endpoint" in alert.text
    assert alert.text.endswith("(and 1 more)")
    assert set(alert.owners) == {"team:data", "team:support"}


def test_a_step_that_failed_by_a_check_is_told_by_the_check_alone() -> None:
    run = replace(RUN, failed_steps=(BEHIND_THE_CHECK,))
    text = shown(failed_run_alert(run, LINKS, [CHECK]))
    assert "[prod] 1 blocking check failed in nightly_job" in text
    assert BEHIND_THE_CHECK.name not in text
    assert "ERROR severity" not in text


def test_each_stream_that_failed_is_told_with_its_reason_and_one_reason_once() -> None:
    streams = [FailedStep(f"lake_shopify__{name}", f"shopify/{name}: 500") for name in ("orders", "customers")]
    alert = failed_run_alert(replace(RUN, failed_steps=(*streams, replace(streams[0], name="again"))), LINKS)
    text = shown(alert)
    assert text.count("shopify/orders: 500") == text.count("shopify/customers: 500") == 1
    assert alert.text.endswith(": shopify/orders: 500 (and 1 more)")


def test_retries_of_a_run_share_the_key_of_their_root() -> None:
    retried = replace(RUN, run_id="ffffffff-8d7e-4a55-9c7b-2f8a3f6a1c11")
    assert failed_run_alert(retried, LINKS).dedupe_key == failed_run_alert(RUN, LINKS).dedupe_key
    other = replace(RUN, root_run_id=retried.run_id)
    assert failed_run_alert(other, LINKS).dedupe_key != failed_run_alert(RUN, LINKS).dedupe_key


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("no customer anna.o'hara+shop@mail.example.co.uk here", "no customer"),
        ('invalid input syntax for type numeric: "Anna Ohara"', "invalid input syntax for type numeric"),
        ("duplicate key: Key (email)=(anna) already exists", "duplicate key"),
        ("call +49 (151) 234-56789 back", "call (phone) back"),
        ("cannot reach postgresql://owner:hunter2@db:5432/shop", "postgresql://(credentials)@db:5432/shop"),
        ("POST https://hooks.slack.com/services/T0/B0/abcdef failed", "POST (webhook) failed"),
        ("token shpat_0123456789abcdef was refused", "token (token) was refused"),
        ("Authorization: Bearer abc.def was refused", "Bearer (token) was refused"),
        ("password=hunter2 is wrong", "password=(secret) is wrong"),
        ("header 0123456789abcdef0123456789abcdef was refused", "header (token) was refused"),
        ("first line\nDETAIL: Failing row contains (anna@example.com)", "first line"),
    ],
)
def test_personal_data_and_secrets_are_taken_out_of_reasons(said: str, kept: str) -> None:
    line = safe_line(said)
    assert kept in line
    for hidden in ("anna", "Anna", "Ohara", "o'hara", "hunter2", "234-56789", "abcdef", "abc.def"):
        assert hidden not in line


def test_a_reason_that_helps_is_left_as_it_is() -> None:
    for line in (
        RUN.failed_steps[0].reason,
        "raw_shopify.orders: column updated_at changed from timestamptz to text; load 2026-03-09 again",
        "run 0b7a9f12-8d7e-4a55-9c7b-2f8a3f6a1c11 was cancelled at 2026-03-10 09:12:00+00:00",
    ):
        assert safe_line(line) == line


def test_planted_personal_data_reaches_no_part_of_an_alert() -> None:
    planted = "planted.person@example.com"
    run = replace(RUN, failed_steps=(FailedStep("dbt_models", f'could not read "x": {planted}\n{planted}'),))
    check = replace(CHECK, message=f"row of {planted} broke it")
    for alert in (failed_run_alert(run, LINKS), failed_checks_alert(run, [check], LINKS)):
        assert "planted" not in json.dumps(alert.payload) + shown(alert)


def test_text_of_others_cannot_write_markup() -> None:
    run = replace(RUN, failed_steps=(), reason="<!channel> & <http://evil.example|click>")
    text = shown(failed_run_alert(run, LINKS))
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp;" in text


def test_a_message_stays_within_the_limits_of_block_kit() -> None:
    failed = tuple(FailedStep(f"step_{number}" * 20, f"{number}" + "<" * 9000) for number in range(500))
    run = replace(RUN, job="j" * 400, failed_steps=failed)
    checks = [replace(CHECK, check=f"check_{n}_is_fine", message="m" * 5000) for n in range(80)]
    for alert in (failed_run_alert(run, LINKS), failed_checks_alert(run, checks, LINKS)):
        blocks = as_slack_takes(alert)["blocks"]
        assert len(blocks) <= 50
        for block in blocks:
            if block["type"] == "header":
                assert len(block["text"]["text"]) <= 150
            if block["type"] == "section":
                assert len(block["text"]["text"]) <= 3000
    assert "and 70 more" in shown(alert)


def test_an_alert_of_no_checks_is_refused() -> None:
    with pytest.raises(ValueError, match="no failed check"):
        failed_checks_alert(RUN, [], LINKS)
