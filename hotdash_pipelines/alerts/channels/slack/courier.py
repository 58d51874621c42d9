"""Placing one message: begin a thread, answer in it, edit its first message, or say it plainly.

Belongs here: which call a row of the outbox becomes. Does not belong here: which row is next, and what happens after a
failure (delivery.py).
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.channels.routing import Destination
from hotdash_pipelines.alerts.channels.slack.bot import Sent, SlackBot
from hotdash_pipelines.alerts.channels.slack.webhook import Client, MissingMessageError, RefusedSlackError, SlackWebhook
from hotdash_pipelines.alerts.wording.run_failures import EDIT, escape

if TYPE_CHECKING:
    import httpx
    import psycopg

NOTHING_TO_EDIT = "no message to edit; the one before it told the same"
TOLD_ALREADY = "a webhook has one channel; another message told the same there"


@dataclass(frozen=True)
class Letter:
    """A row of the outbox that is due."""

    id: int
    payload: Mapping[str, Any]
    attempts: int
    action: str
    target: str | None
    thread_key: str | None
    violation_id: int | None
    incident_id: int | None
    unanswered: int
    dedupe_key: str


@dataclass(frozen=True)
class Placed:
    """Where a message went: `action` is what was done in the end; `note` says why nothing had to be."""

    action: str
    channel: str | None = None
    ts: str | None = None
    note: str | None = None


class Courier(Client):
    """Takes messages to Slack; close it, or use it in a `with` statement."""

    def __init__(self, destination: Destination, slack: SlackBot | SlackWebhook) -> None:
        self.destination = destination
        self._slack = slack

    def close(self) -> None:
        """Close the connection."""
        self._slack.close()

    def probe(self) -> None:
        """Ask whether Slack answers at all, without a message. Raises the kinds of SlackError."""
        self._slack.probe()

    @abstractmethod
    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter) -> Placed:
        """Send one message. Raises the kinds of SlackError."""

    @abstractmethod
    def say(self, target: str | None, text: str) -> Placed:
        """Send a plain text that is not in the outbox. Raises the kinds of SlackError."""


class BotCourier(Courier):
    """Threads, edits, and a channel an owner. What a lost first message does not allow becomes a message of its own."""

    def __init__(self, destination: Destination, bot: SlackBot) -> None:
        super().__init__(destination, bot)
        self._bot = bot

    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter) -> Placed:
        """See `Courier`."""
        if letter.action == "update":
            if (found := _first_of_violation(conn, letter)) is not None:
                try:
                    return _placed("update", self._bot.update(*found, _body(letter)))
                except MissingMessageError:
                    pass
            if _its_news_went_out(conn, letter):
                return Placed("update", note=NOTHING_TO_EDIT)
        if letter.action != "post" and (thread := _thread(conn, letter)) is not None:
            try:
                return _placed("reply", self._bot.post(thread[0], _body(letter, is_reply=True), thread[1]))
            except MissingMessageError:
                pass
            except RefusedSlackError as error:
                # The thread's channel is closed to the bot by now; the settings may name another one.
                if not error.is_about_channel:
                    raise
        return _placed("post", self._bot.post(self._channel(letter.target), _body(letter)))

    def say(self, target: str | None, text: str) -> Placed:
        """See `Courier`."""
        return _placed("post", self._bot.post(self._channel(target), {"text": text}))

    def _channel(self, target: str | None) -> str:
        channel = self.destination.channel_of(target)
        if channel is None:
            whose = f"{target} has no channel" if target else "there is no default channel"
            raise RefusedSlackError(
                f"{whose}: set HOTDASH_SLACK_CHANNEL, or name one in HOTDASH_SLACK_CHANNELS", is_about_channel=True
            )
        return channel


class WebhookCourier(Courier):
    """Plain messages to the webhook's one channel: an answer names its incident, a told edit is left out."""

    def __init__(self, destination: Destination, webhook: SlackWebhook) -> None:
        super().__init__(destination, webhook)
        self._webhook = webhook

    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter) -> Placed:
        """See `Courier`."""
        if letter.action == "update" and _its_news_went_out(conn, letter):
            return Placed("update", note=NOTHING_TO_EDIT)
        if _was_told_to_another_target(conn, letter):
            return Placed("post", note=TOLD_ALREADY)
        self._webhook.post(_body(letter))
        return Placed("post")

    def say(self, target: str | None, text: str) -> Placed:  # noqa: ARG002 - of the other courier
        """See `Courier`; a webhook has one channel, whatever the target."""
        self._webhook.post({"text": text})
        return Placed("post")


def open_courier(destination: Destination, transport: "httpx.BaseTransport | None" = None) -> Courier:
    """A courier with the bot's token, or else with the webhook. Raises RefusedSlackError for settings that are none."""
    if destination.bot_token:
        return BotCourier(destination, SlackBot(destination.bot_token, destination.api_url, transport=transport))
    return WebhookCourier(destination, SlackWebhook(destination.webhook_url or "", transport=transport))


def _placed(action: str, sent: Sent) -> Placed:
    return Placed(action, sent.channel, sent.ts)


def _thread(conn: "psycopg.Connection[Any]", letter: Letter) -> tuple[str, str] | None:
    """Channel and ts of the message that began the thread; None when there is none to answer to."""
    return conn.execute(
        """
        select slack_channel, slack_ts from ops.alert_outbox
        where thread_key = %s and target is not distinct from %s
            and state = 'delivered' and slack_ts is not null and action = 'post'
        order by id limit 1
        """,
        (letter.thread_key, letter.target),
    ).fetchone()


def _first_of_violation(conn: "psycopg.Connection[Any]", letter: Letter) -> tuple[str, str] | None:
    """Channel and ts of what was first told of the violation: the thread's first message or, later in it, an answer."""
    return conn.execute(
        """
        select slack_channel, slack_ts from ops.alert_outbox
        where thread_key = %s and target is not distinct from %s and violation_id = %s
            and state = 'delivered' and slack_ts is not null and action <> 'update'
        order by id limit 1
        """,
        (letter.thread_key, letter.target, letter.violation_id),
    ).fetchone()


def _its_news_went_out(conn: "psycopg.Connection[Any]", letter: Letter) -> bool:
    """Whether the message that an edit repeats was delivered."""
    told, _, copy = letter.dedupe_key.partition(EDIT)
    found = conn.execute(
        "select from ops.alert_outbox where dedupe_key = %s and state = 'delivered'", (told + copy,)
    ).fetchone()
    return found is not None


def _was_told_to_another_target(conn: "psycopg.Connection[Any]", letter: Letter) -> bool:
    """Whether it is a copy of a message that was delivered to another target."""
    original, _, target = letter.dedupe_key.partition("@")
    if letter.violation_id is None or target != (letter.target or "") or original == letter.dedupe_key:
        return False
    found = conn.execute(
        "select from ops.alert_outbox where dedupe_key = %s and state = 'delivered'", (original,)
    ).fetchone()
    return found is not None


def _body(letter: Letter, *, is_reply: bool = False) -> dict[str, Any]:
    """The message with its numbers: a crash between Slack's answer and the commit may send it twice, and these tell.

    Outside of a thread they also tell which messages belong together.
    """
    told = [f"alert {letter.id}"]
    if letter.violation_id:
        told.append(f"violation {letter.violation_id}")
    if letter.incident_id or letter.thread_key:
        told.append(f"incident {letter.incident_id or escape(letter.thread_key or '')}")
    mark = {"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(told)}]}
    body = {**letter.payload, "blocks": [*letter.payload.get("blocks", ()), mark]}
    if not is_reply:
        body.pop("reply_broadcast", None)
    return body
