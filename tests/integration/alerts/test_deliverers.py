"""Several deliverers, and one that is killed: every message arrives, once, and in order."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from hotdash_pipelines.alerts import Delivery, SlackDestination, deliver_pending
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.alerts.harness.threads import Answers, Conn, Drain, posts, rows, said
from tests.integration.alerts.harness.violations import NOW, news, tell, violation


def test_two_deliverers_at_once_send_every_message_once_and_threads_in_order(
    warehouse: Conn, warehouse_url: str, slack: RunningStandIn, bot: SlackDestination
) -> None:
    for name in ("a", "b", "c"):
        about = violation(warehouse, name, f"incident {name}")
        for event in (news("opened", **about), news("escalated", level=1, **about), news("resolved", **about)):
            tell(warehouse, event)
    together, met = threading.Barrier(2, timeout=20), set[int]()

    def meet(method: str, real: Callable[[], httpx.Response]) -> httpx.Response:
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            together.wait()
        return real()

    def deliver(_: int) -> int:
        sent = 0
        with connect(warehouse_url) as conn:
            while (done := deliver_pending(conn, bot, NOW, transport=Answers(meet))).waiting:
                sent += done.sent
        return sent + done.sent

    with ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(deliver, range(2)))
    assert sum(shares) == 12
    assert all(shares)
    messages = posts(slack)
    assert len(messages) == 9
    roots = [one for one in messages if one["thread_ts"] is None]
    assert len(roots) == 3
    for root in roots:
        answers = [said(one) for one in messages if one["thread_ts"] == root["ts"]]
        assert answers == ["escalated (level 1)", "resolved after 1 h 21 min"]
        assert root["edited_ts"]


_DELIVER = """
import sys
from datetime import datetime
from hotdash_pipelines.alerts import SlackDestination, deliver_pending
from hotdash_pipelines.warehouse.postgres import connect
with connect(sys.argv[1]) as conn:
    to = SlackDestination(bot_token=sys.argv[2], api_url=sys.argv[3], channel="#alerts")
    deliver_pending(conn, to, datetime.fromisoformat(sys.argv[4]))
"""


def test_a_kill_between_slacks_answer_and_the_commit_repeats_that_message_only(
    warehouse: Conn, warehouse_url: str, slack: RunningStandIn, drain: Drain, bot: SlackDestination
) -> None:
    about = violation(warehouse, "late")
    for event in (news("opened", **about), news("escalated", level=1, **about), news("resolved", **about)):
        tell(warehouse, event)
    killed = subprocess.run(
        [sys.executable, "-c", _DELIVER, warehouse_url, str(bot.bot_token), bot.api_url, NOW.isoformat()],
        env={**os.environ, "HOTDASH_KILL_AT": "alert.accepted:2"},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    assert rows(warehouse, "state") == [("delivered",), ("pending",), ("pending",), ("pending",)]
    assert drain() == Delivery(sent=3)
    first, escalated, again, resolved = posts(slack)
    assert [said(one) for one in (escalated, again, resolved)] == ["escalated (level 1)"] * 2 + [
        "resolved after 1 h 21 min"
    ]
    assert {one["thread_ts"] for one in (escalated, again, resolved)} == {first["ts"]}
