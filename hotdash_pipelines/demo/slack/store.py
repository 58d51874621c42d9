"""The messages Slack was sent, in memory and, if asked for, in a file of one JSON object a line.

Belongs here: keeping, finding and changing messages. Does not belong here: HTTP or HTML.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hotdash_pipelines.demo.clock import VirtualClock

WEBHOOK_CHANNEL = "#alerts"


@dataclass(slots=True)
class Post:
    """One message. `ts` is its name within the channel; `thread_ts` the name of the message it answers; such an answer
    is seen in the channel too when `is_broadcast`."""

    channel: str
    channel_id: str
    ts: str
    user: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str | None = None
    edited_ts: str | None = None
    is_broadcast: bool = False


class MessageStore:
    """The last `limit` messages, oldest first. Safe to use from several threads."""

    def __init__(self, clock: VirtualClock, file: Path | None = None, limit: int = 2_000) -> None:
        self._clock = clock
        self._file = file
        self._lock = threading.Lock()
        self._posts: deque[Post] = deque(maxlen=limit)
        self._names: dict[str, str] = {}
        self._last_ts = 0

    def add(
        self,
        channel: str,
        user: str,
        text: str,
        blocks: list[dict[str, Any]],
        attachments: list[dict[str, Any]],
        thread_ts: str | None = None,
        *,
        is_broadcast: bool = False,
    ) -> Post:
        """Keep a message; its `ts` is the virtual instant, later than every one before."""
        with self._lock:
            channel_id = self._channel_id(channel)
            post = Post(
                self._names[channel_id], channel_id, self._next_ts(), user, text, blocks, attachments, thread_ts,
                is_broadcast=is_broadcast,
            )  # fmt: skip
            self._posts.append(post)
            self._write("post", post)
            return post

    def update(self, channel: str, ts: str, changes: dict[str, Any]) -> Post | None:
        """Replace text, blocks or attachments of a message; None if there is no such message."""
        with self._lock:
            channel_id = self._channel_id(channel)
            for post in self._posts:
                if post.ts == ts and post.channel_id == channel_id:
                    for name, value in changes.items():
                        setattr(post, name, value)
                    post.edited_ts = self._next_ts()
                    self._write("update", post)
                    return post
        return None

    def posts(self, channel: str | None = None) -> list[dict[str, Any]]:
        """The kept messages, oldest first, of one channel (by name or id) or of all, as JSON-ready values."""
        with self._lock:
            return [asdict(p) for p in self._posts if channel is None or channel in (p.channel, p.channel_id)]

    def has(self, channel: str, ts: str) -> bool:
        """True if this message is kept."""
        with self._lock:
            channel_id = self._channel_id(channel)
            return any(post.ts == ts and post.channel_id == channel_id for post in self._posts)

    def _channel_id(self, channel: str) -> str:
        """The id of a channel given by name or id."""
        if channel in self._names:
            return channel
        name = f"#{channel.removeprefix('#')}"
        channel_id = "C" + hashlib.sha256(name.encode()).hexdigest()[:10].upper()
        self._names[channel_id] = name
        return channel_id

    def _next_ts(self) -> str:
        self._last_ts = max(int(self._clock.now().timestamp() * 1_000_000), self._last_ts + 1)
        seconds, micros = divmod(self._last_ts, 1_000_000)
        return f"{seconds}.{micros:06d}"

    def _write(self, event: str, post: Post) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"event": event, **asdict(post)}, ensure_ascii=False) + "\n")
