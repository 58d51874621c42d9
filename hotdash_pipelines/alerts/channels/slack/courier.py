"""Placing one message: begin a thread, answer in it, edit its first message, or say it plainly.

Belongs here: which call a row of the outbox becomes. Does not belong here: which row is next, and what happens after a
failure (delivery.py).
"""

from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.channels.channel import Courier, Letter, Placed, RefusedChannelError
from hotdash_pipelines.alerts.channels.slack.bot import Sent, SlackBot
from hotdash_pipelines.alerts.channels.slack.destination import SlackDestination
from hotdash_pipelines.alerts.channels.slack.webhook import MissingMessageError, SlackWebhook
from hotdash_pipelines.alerts.message import EDIT

if TYPE_CHECKING:
    import httpx
    import psycopg

NOTHING_TO_EDIT = "no message to edit; the one before it told the same"
TOLD_ALREADY = "a webhook has one channel; another message told the same there"


class SlackCourier(Courier):
    """What both ways to Slack share."""

    def __init__(self, destination: SlackDestination, slack: SlackBot | SlackWebhook) -> None:
        self.destination = destination
        self._slack = slack

    def close(self) -> None:
        """Close the connection."""
        self._slack.close()

    def probe(self) -> None:
        """Ask whether Slack answers at all, without a message. Raises the kinds of ChannelError."""
        self._slack.probe()


class BotCourier(SlackCourier):
    """Threads, edits, and a channel an owner. What a lost first message does not allow becomes a message of its own."""

    def __init__(self, destination: SlackDestination, bot: SlackBot) -> None:
        super().__init__(destination, bot)
        self._bot = bot

    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter, composed: Any) -> Placed:
        """See `Courier`."""
        if letter.action == "update":
            if (first := _first_of_violation(conn, letter)) is not None:
                try:
                    return _placed("update", self._bot.update(*first, _alone(composed)))
                except MissingMessageError:
                    pass
            if _its_news_went_out(conn, letter):
                return Placed("update", note=NOTHING_TO_EDIT)
        if letter.action != "post" and (thread := _thread(conn, letter)) is not None:
            try:
                return _placed("reply", self._bot.post(thread[0], composed, thread[1]))
            except MissingMessageError:
                pass
            except RefusedChannelError as error:
                # The thread's channel is closed to the bot by now; the settings may name another one.
                if not error.is_about_target:
                    raise
        return _placed("post", self._bot.post(self._channel(letter.target), _alone(composed)))

    def say(self, target: str | None, text: str) -> Placed:
        """See `Courier`."""
        channel = self._channel(target)
        sent = self._bot.post(channel, {"text": text})
        return Placed("post", sent.channel, sent.ts, where=channel)

    def _channel(self, target: str | None) -> str:
        channel = self.destination.channel_of(target)
        if channel is None:
            whose = f"{target} has no channel" if target else "there is no default channel"
            raise RefusedChannelError(
                f"{whose}: set HOTDASH_SLACK_CHANNEL, or name one in HOTDASH_SLACK_CHANNELS", is_about_target=True
            )
        return channel


class WebhookCourier(SlackCourier):
    """Plain messages to the webhook's one channel: an answer names its incident, a told edit is left out."""

    def __init__(self, destination: SlackDestination, webhook: SlackWebhook) -> None:
        super().__init__(destination, webhook)
        self._webhook = webhook

    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter, composed: Any) -> Placed:
        """See `Courier`."""
        if letter.action == "update" and _its_news_went_out(conn, letter):
            return Placed("update", note=NOTHING_TO_EDIT)
        if _was_told_to_another_target(conn, letter):
            return Placed("post", note=TOLD_ALREADY)
        self._webhook.post(_alone(composed))
        return Placed("post")

    def say(self, target: str | None, text: str) -> Placed:  # noqa: ARG002 - of the other courier
        """See `Courier`; a webhook has one channel, whatever the target."""
        self._webhook.post({"text": text})
        return Placed("post", where="the webhook's channel")


def open_courier(destination: SlackDestination, transport: "httpx.BaseTransport | None" = None) -> Courier:
    """A courier with the bot's token, else with the webhook. Raises RefusedChannelError for settings that are none."""
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
    news, _, copy = letter.dedupe_key.partition(EDIT)
    return _was_delivered(conn, news + copy)


def _was_told_to_another_target(conn: "psycopg.Connection[Any]", letter: Letter) -> bool:
    """Whether it is a copy of a message that was delivered to another target."""
    original, _, target = letter.dedupe_key.partition("@")
    if letter.violation_id is None or target != (letter.target or "") or original == letter.dedupe_key:
        return False
    return _was_delivered(conn, original)


def _was_delivered(conn: "psycopg.Connection[Any]", dedupe_key: str) -> bool:
    delivered = conn.execute(
        "select from ops.alert_outbox where dedupe_key = %s and state = 'delivered'", (dedupe_key,)
    ).fetchone()
    return delivered is not None


def _alone(composed: dict[str, Any]) -> dict[str, Any]:
    """The message outside of a thread, where there is nothing to broadcast."""
    return {name: value for name, value in composed.items() if name != "reply_broadcast"}
