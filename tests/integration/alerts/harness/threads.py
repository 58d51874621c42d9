"""What arrived in the stand-in's Slack, and a way to it that may fail.

Belongs here: what tests of threads share. Does not belong here: fixtures (conftest.py), violations (violations.py).
"""

from collections.abc import Callable
from typing import Any

import httpx
import psycopg

from hotdash_pipelines.alerts import Delivery
from hotdash_pipelines.demo.testing import RunningStandIn

Drain = Callable[..., Delivery]
Conn = psycopg.Connection[Any]


class Answers(httpx.BaseTransport):
    """The real way to the stand-in, with a say in what comes back. `turned` maps the nth call of a method to it."""

    def __init__(self, turn: Callable[[str, Callable[[], httpx.Response]], httpx.Response]) -> None:
        self._turn, self._real = turn, httpx.HTTPTransport()
        self.calls: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        method = request.url.path.rpartition("/")[2]
        self.calls.append(method)
        return self._turn(method, lambda: self._real.handle_request(request))


def posts(slack: RunningStandIn, channel: str | None = None) -> list[dict[str, Any]]:
    return slack.world.extra["slack"].posts(channel)


def said(post: dict[str, Any]) -> str:
    """What a message of a violation tells has happened; `struck` once it was edited to its end."""
    if post["edited_ts"]:
        assert "*~" in post["blocks"][0]["text"]["text"]
        return "struck"
    return post["text"].partition("[prod]")[0].strip(": ") or "opened"


def rows(conn: Conn, columns: str) -> list[tuple[Any, ...]]:
    return conn.execute(f"select {columns} from ops.alert_outbox order by id").fetchall()
