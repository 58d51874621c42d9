"""Records of channels, their formats, and which of them take an alert."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hotdash_pipelines.alerts import Alert, SlackDestination, kinds
from hotdash_pipelines.alerts.channels import apprise
from hotdash_pipelines.alerts.channels import kinds as registry
from hotdash_pipelines.alerts.channels.apprise import plain_text
from hotdash_pipelines.alerts.channels.apprise.destination import AppriseDestination, AppriseEntry
from hotdash_pipelines.alerts.channels.channel import ChannelKind, TransientChannelError
from hotdash_pipelines.alerts.channels.kinds import ChannelRecordError, registered
from hotdash_pipelines.alerts.channels.routing import AlertPlace, places_of
from hotdash_pipelines.alerts.channels.slack import CHANNEL, block_kit
from hotdash_pipelines.alerts.message import Block, TextSpan, blocks_of, line
from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.severities import SEVERITIES, is_at_least
from tests.unit.alerts.letters import letter_of

SLACK = SlackDestination(webhook_url="https://hooks.example.org/x")


def alert(**more: Any) -> Alert:
    facts: dict[str, Any] = {"severity": "high", "owners": ("team:data",), "target": "team:data", "blocks": ()}
    return Alert("key", "kind", text="a & b", **{**facts, **more})


def test_slack_comes_first_and_every_folder_is_a_channel() -> None:
    assert list(kinds()) == ["slack", "apprise"]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([CHANNEL, CHANNEL], "alert channel slack is registered twice"),
        ([replace(CHANNEL, compose=None)], "alert channel slack is half a record"),
        ([replace(CHANNEL, variables=())], "alert channel slack is half a record"),
        ([replace(CHANNEL, name="Two words")], "small letters"),
    ],
)
def test_a_channel_that_is_there_twice_or_half_is_refused(records: list[ChannelKind], said: str) -> None:
    with pytest.raises(ChannelRecordError, match=said):
        registered(records)


def test_half_a_record_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="open_courier"):
        ChannelKind("pigeon", ("HOTDASH_PIGEON",), CHANNEL.read, CHANNEL.validate, CHANNEL.compose)  # type: ignore[call-arg]


def test_a_folder_without_a_record_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(apprise, "CHANNEL")
    with pytest.raises(ChannelRecordError, match=r"channels\.apprise has no record"):
        registry.kinds.__wrapped__()


def test_an_alert_goes_to_every_channel_that_takes_it_and_an_edit_to_those_that_edit() -> None:
    urls = AppriseDestination(
        (
            AppriseEntry("all json", "json://a"),
            AppriseEntry("o", "json://b", ("team:x",)),
            AppriseEntry("c", "json://c", (), "critical"),
        )
    )
    assert places_of(alert(), (urls, SLACK)) == (AlertPlace("slack", "team:data"), AlertPlace("apprise", "all json"))
    assert places_of(alert(action="update", thread_key="t"), (urls, SLACK)) == (AlertPlace("slack", "team:data"),)
    assert places_of(alert(action="update", thread_key="t"), (urls,)) == ()
    assert places_of(alert(channel="apprise"), (urls, SLACK)) == (AlertPlace("apprise", "all json"),)
    nobody = AppriseDestination((AppriseEntry("c", "json://c", (), "critical"),))
    assert places_of(alert(), (SlackDestination(), nobody)) == (AlertPlace("slack", "team:data"),)
    assert places_of(alert(channel="apprise"), (SLACK, nobody)) == (AlertPlace("apprise", "team:data"),)


def test_a_severity_takes_what_is_worse_too() -> None:
    assert SEVERITIES[0] == "critical"
    assert [severity for severity in SEVERITIES if is_at_least(severity, "medium")] == ["critical", "high", "medium"]


def test_errors_that_may_pass_say_so() -> None:
    error = TransientChannelError("away", retry_after=17)
    assert isinstance(error, HotdashError)
    assert (error.is_transient, error.retry_after) == (True, 17)


def test_an_alert_of_an_earlier_version_is_shown_as_it_was_kept() -> None:
    kept = {"text": "a &amp; b", "blocks": [{"type": "divider"}], "reply_broadcast": True}
    letter = replace(letter_of(alert()), payload=kept)
    body = block_kit.compose(letter)
    assert (body["text"], body["reply_broadcast"]) == ("a &amp; b", True)
    assert [block["type"] for block in body["blocks"]] == ["divider", "context"]
    assert plain_text.compose(letter).title == "a & b"
    assert plain_text.compose(letter).body == "a & b\n\nalert 1"


def test_every_kind_of_block_survives_the_outbox_and_has_a_form_in_every_format() -> None:
    blocks = (
        Block("title", (line(TextSpan("high", "sign"), " It <broke>"),)),
        Block(
            "text", (line(TextSpan("@here", "mention"), " ", TextSpan("Now", "bold")), line(TextSpan("old", "struck")))
        ),
        Block("text", (line(TextSpan("<@U1>", "mention"), TextSpan("<!channel>", "mention")),)),
        Block("quote", (line("said"),)),
        Block("facts", (line("Since", "noon\nfor 2 h"), line("SLA", TextSpan("s", "code")))),
        Block("footer", (line(TextSpan("Run", url="https://x.example/1")), line("end"))),
    )
    letter = letter_of(alert(blocks=blocks))
    assert blocks_of(letter.payload) == blocks
    title, first, second, quote, facts, footer, _ = block_kit.compose(letter)["blocks"]
    assert title["text"] == {"type": "plain_text", "text": ":red_circle: It <broke>", "emoji": True}
    assert first["text"]["text"] == "<!here> *Now*\n*~old~*"
    assert second["text"]["text"] == "<@U1><!channel>"
    assert quote["text"]["text"] == "> said"
    assert [field["text"] for field in facts["fields"]] == ["*Since*\nnoon\nfor 2 h", "*SLA*\n`s`"]
    assert footer["elements"][0]["text"] == "<https://x.example/1|Run> · end"
    assert plain_text.compose(letter).body.split("\n\n") == [
        "@here Now\nold",
        "@channel",
        "> said",
        "Since: noon, for 2 h\nSLA: s",
        "Run: https://x.example/1\nend",
        "alert 1",
    ]


def test_the_settings_say_where_each_channel_leads() -> None:
    settings = SimpleNamespace(alert_entries=())
    destination = kinds()["apprise"].read(settings)
    assert (destination.is_configured, destination.way) == (False, None)
    assert "HOTDASH_ALERT_URLS" in destination.missing
    before, after = (
        AppriseDestination((AppriseEntry("all json", url),)).fingerprint for url in ("json://a", "json://b")
    )
    assert before != after


def test_what_apprise_would_fail_on_is_told_without_the_address() -> None:
    bad = AppriseDestination(
        (AppriseEntry("all json", "json://127.0.0.1"), AppriseEntry("high discord", "discord://hunter2"))
    )
    with pytest.raises(HotdashError, match="cannot read the address of 'high discord'") as caught:
        kinds()["apprise"].validate(bad)
    assert "hunter2" not in str(caught.value) + repr(bad)
