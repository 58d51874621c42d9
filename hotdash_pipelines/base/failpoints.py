"""Named points at which a test may kill this process, to show that a rerun repairs what was left.

Belongs here: the one function behind all of them. A point is reached by name and costs one look into the environment.
"""

import os
import signal
from collections import Counter

_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Kill this process with SIGKILL when HOTDASH_KILL_AT is `name`, or at the nth time when it is `name:n`."""
    wanted, _, nth = os.environ.get("HOTDASH_KILL_AT", "").partition(":")
    if wanted != name:
        return
    _reached[name] += 1
    if _reached[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
