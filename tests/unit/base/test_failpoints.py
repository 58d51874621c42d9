"""The one place where a test can have the process killed."""

import signal
import subprocess
import sys


def test_only_the_named_point_kills() -> None:
    script = (
        "from hotdash_pipelines.base.failpoints import reach;"
        "reach('a.first'); print('passed', flush=True); reach('a.second')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"HOTDASH_KILL_AT": "a.second"}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"passed\n")
    assert subprocess.run([sys.executable, "-c", script], env={}, capture_output=True, check=False).returncode == 0


def test_a_point_may_be_passed_before_it_kills() -> None:
    script = "from hotdash_pipelines.base.failpoints import reach\nfor n in range(5): print(n, flush=True); reach('a')"
    done = subprocess.run(
        [sys.executable, "-c", script], env={"HOTDASH_KILL_AT": "a:3"}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"0\n1\n2\n")
