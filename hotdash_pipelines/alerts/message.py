"""An alert as facts and neutral blocks: what is told, to whom, how bad it is, and nothing of how a channel shows it.

Belongs here: the shapes between wording and channels, and how the outbox keeps them. Does not belong here: words
(alerts/wording), a channel's own format (a `compose` in alerts/channels).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from hotdash_pipelines.base.severities import Severity

Action = Literal["post", "reply", "update"]
Style = Literal["plain", "bold", "code", "struck", "mention", "sign"]
BlockKind = Literal["title", "text", "quote", "facts", "footer"]
# Ends the dedupe key of an edit that repeats what another message told.
EDIT = ":edit"


@dataclass(frozen=True)
class Links:
    """Where links of an alert lead: the Dagster UI, and the folder `docs` of the documentation."""

    ui_url: str
    docs_url: str

    def run(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.ui_url.rstrip('/')}/runs/{run_id}"

    def runs(self) -> str:
        """The list of runs."""
        return f"{self.ui_url.rstrip('/')}/runs"

    def asset(self, asset: str) -> str:
        """The checks of an asset such as `raw_shopify/orders`."""
        return f"{self.ui_url.rstrip('/')}/assets/{asset}?view=checks"

    def runbook(self, path: str) -> str:
        """The page of a runbook such as `docs/runbooks/run-failed.md`."""
        return f"{self.docs_url.rstrip('/')}/{path.removeprefix('docs/')}"


@dataclass(frozen=True)
class TextSpan:
    """A piece of a line, with the text as people read it: a channel escapes it.

    `sign` is a word such as `critical` or `resolved` that a channel may show as a picture; `mention` is whom the
    settings of an SLA wake, as they say it.
    """

    text: str
    style: Style = "plain"
    url: str | None = None


Line = tuple[TextSpan, ...]


@dataclass(frozen=True)
class Block:
    """A part of a message. Each line of `facts` is a fact: its name, and then its value; of `footer`: one thing."""

    kind: BlockKind
    lines: tuple[Line, ...]


def line(*parts: str | TextSpan) -> Line:
    """A line of texts and spans."""
    return tuple(TextSpan(part) if isinstance(part, str) else part for part in parts)


@dataclass(frozen=True)
class Alert:
    """A message for the outbox. Two alerts with one `dedupe_key` are the same alert: the first one stands.

    `owners` and `severity` decide which channels take it (channels/routing.py); `channel` names one and asks nobody.
    `target` is a channel of Slack or an owner. Messages of one `thread_key` make one thread: `post` begins it, `reply`
    answers in it (`broadcast`: seen in the channel too), `update` edits the first message of `violation_id`.
    `everywhere`: also told wherever else the thread told of this violation. Quiet hours set `hold_until`. A violation
    comes with the kind and level of its event, which with the target are unique.
    """

    dedupe_key: str
    kind: str
    severity: Severity
    text: str
    blocks: tuple[Block, ...]
    owners: tuple[str, ...] = ()
    channel: str | None = None
    target: str | None = None
    thread_key: str | None = None
    action: Action = "post"
    violation_id: int | None = None
    incident_id: int | None = None
    event_kind: str | None = None
    event_level: int | None = None
    hold_until: datetime | None = None
    everywhere: bool = False
    broadcast: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        """What the outbox keeps; `text` is the whole in one line, for lists and notifications."""
        body = [[block.kind, [[_packed(span) for span in line_] for line_ in block.lines]] for block in self.blocks]
        return {"text": self.text, "body": body, "broadcast": self.broadcast}


def blocks_of(payload: Mapping[str, Any]) -> tuple[Block, ...]:
    """The blocks that `Alert.payload` kept."""
    return tuple(
        Block(kind, tuple(tuple(_unpacked(span) for span in line_) for line_ in lines))
        for kind, lines in payload.get("body", ())
    )


def _packed(span: TextSpan) -> str | list[str | None]:
    return span.text if span == TextSpan(span.text) else [span.text, span.style, span.url]


def _unpacked(span: Any) -> TextSpan:
    return TextSpan(span) if isinstance(span, str) else TextSpan(*span)
