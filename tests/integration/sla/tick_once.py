"""Ticks in a process of its own, for tests that kill it: `python -m ... <url> <now> <value>...`, a STEP apart."""

import sys
from datetime import datetime

from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.sla.kept import Kept
from tests.unit.sla.story import sla

WAITING = sla("waiting", "queue_age", target=5, unit="minutes", dataset="agent/agent_approvals", owner="team:support")


def main(url: str, now: str, *values: str) -> None:
    """One tick a value."""
    with connect(url, autocommit=True) as conn:
        Kept(conn, WAITING).run(datetime.fromisoformat(now), [float(value) for value in values])


if __name__ == "__main__":
    main(*sys.argv[1:])
