"""Waiting for the process of a load: what it tells, how it may end, and that it never outlives who waits."""

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from hotdash_pipelines.cli.progress import live_steps
from hotdash_pipelines.local import first_load
from hotdash_pipelines.local.children import ChildError
from hotdash_pipelines.local.first_load import LoadOutcome, StepProgress, joined, load

DAY = "2026-03-09"
ECHO = "import json, sys; print(json.dumps({'outcome': {'run_id': ' '.join(sys.argv[1:]), 'success': True}}))"


def loaded_by(program: str, logs: Path) -> tuple[LoadOutcome, list[list[StepProgress]], list[str]]:
    """The outcome of a load by a program of a few lines, and all it told on the way."""
    reports: list[list[StepProgress]] = []
    runs: list[str] = []
    outcome = load(logs, DAY, DAY, reports.append, runs.append, [sys.executable, "-c", program])
    return outcome, reports, runs


def test_what_the_process_tells_is_handed_on(tmp_path: Path) -> None:
    program = """if True:
        import json, sys
        print(json.dumps({"ended": ["abc"]}))
        print(json.dumps({"steps": [{"name": "lake", "state": "done", "seconds": 1.5}]}))
        print("chatter of dbt", file=sys.stderr)
        print(json.dumps({"outcome": {"run_id": "def", "success": True, "assets": {"raw/orders": 3}}}))
    """
    outcome, reports, runs = loaded_by(program, tmp_path)
    assert outcome == LoadOutcome("def", True, {"raw/orders": 3})
    assert reports == [[StepProgress("lake", "done", 1.5)]]
    assert runs == ["abc"]
    log = tmp_path / "run.log"
    assert log.read_text() == "chatter of dbt\n"
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("is_past", "asked"), [(False, f"{DAY} {DAY}"), (True, f"{DAY} {DAY} past")])
def test_the_process_is_told_what_is_past(tmp_path: Path, is_past: bool, asked: str) -> None:
    command = [sys.executable, "-c", ECHO]
    assert load(tmp_path, DAY, DAY, lambda _: None, lambda _: None, command, is_past=is_past).run_id == asked


def test_a_long_step_says_every_ten_seconds_how_far_it_is_where_nobody_looks_at_a_terminal() -> None:
    told = io.StringIO()
    with live_steps(Console(file=told, force_terminal=False)) as show:
        for seconds in (0, 9, 11, 12, 31, 40):
            show([StepProgress("lake", "running", seconds, 2 * seconds), StepProgress("raw", "running", seconds)])
        show([StepProgress("lake", "done", 42, 90), StepProgress("raw", "running", 12, 3)])
    assert told.getvalue().splitlines() == [
        "running  lake 22 days, 11.0 s",
        "running  lake 62 days, 31.0 s",
        "done     lake 42.0 s",
        "running  raw 3 days, 12.0 s",
    ]


@pytest.mark.parametrize(
    "program, words",
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
        ("import no_such_module", "ended with exit code 1"),
        ("print('{\"ended\": []}')", "ended with exit code 0"),
    ],
)
def test_a_process_that_ends_without_an_outcome_is_told_in_one_line(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(ChildError, match=words) as raised:
        loaded_by(program, tmp_path)
    assert len(str(raised.value).splitlines()) == 1
    assert str(tmp_path / "run.log") in str(raised.value)


def test_definitions_that_cannot_be_imported_are_named(tmp_path: Path) -> None:
    command = [*first_load.COMMAND[:-1], "hotdash_pipelines.no_such_definitions"]
    with pytest.raises(ChildError, match=r"ModuleNotFoundError: .*no_such_definitions") as raised:
        load(tmp_path, DAY, DAY, lambda _: None, lambda _: None, command)
    assert len(str(raised.value).splitlines()) == 1
    assert "Traceback" in (tmp_path / "run.log").read_text()


def test_an_error_while_waiting_ends_the_process_and_its_children(tmp_path: Path) -> None:
    program = """if True:
        import json, subprocess, sys, time
        child = subprocess.Popen(["sleep", "600"])
        print(json.dumps({"ended": [str(child.pid)]}), flush=True)
        time.sleep(600)
    """
    pids: list[int] = []

    def interrupted(pid: str) -> None:
        pids.append(int(pid))
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, DAY, DAY, lambda _: None, interrupted, [sys.executable, "-c", program])
    assert time.monotonic() - began < 9, "ended by SIGTERM, not by SIGKILL after the grace"
    (pid,) = pids
    # The kernel ends it a moment after it was told to.
    while runs(pid):
        assert time.monotonic() - began < 20
        time.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_process_ends_with_who_waits_for_it() -> None:
    program = """if True:
        import threading, time
        from hotdash_pipelines.local.nightly_run import _end_with_the_parent
        threading.Thread(target=_end_with_the_parent, daemon=True).start()
        print("ready", flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.stdin.close()
        assert process.wait(timeout=60) == -signal.SIGTERM


def test_whoever_waits_for_a_load_needs_no_dagster() -> None:
    program = """if True:
        import sys
        from hotdash_pipelines.cli import up
        from hotdash_pipelines.local import first_load, instance, nightly_run, serve, warehouse
        sys.exit("dagster" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_run_that_failed_long_ago_is_told_with_what_the_newest_built() -> None:
    old = LoadOutcome(
        "1", False, {"raw_shopify/orders": 5}, 3, 1, 0, ["a: c"], ["step: line"], owners={"a": "team:data"}
    )
    newest = LoadOutcome("2", True, {"marts_core/fct_order": 9}, 4, 0, 2, ["a: c", "b: d (warning)"])
    told = joined([newest, old, newest])
    assert (told.run_id, told.success) == ("1", False)
    assert told.assets == newest.assets
    assert (told.passed, told.failed, told.warned) == (11, 1, 4)
    assert told.failed_checks == ["a: c", "b: d (warning)"]
    assert (told.errors, told.owners) == (["step: line"], {"a": "team:data"})
    assert joined([newest]) == newest


def test_days_that_waited_for_the_runs_after_theirs_are_not_told_but_those_of_the_newest_run_are() -> None:
    waits = LoadOutcome("1", True, {}, 5, 0, 2, ["raw/a: days_match_the_source (warning)", "raw/a: odd (warning)"])
    told = joined([waits, waits])
    assert (told.passed, told.warned) == (10, 3)
    assert told.failed_checks == ["raw/a: odd (warning)", "raw/a: days_match_the_source (warning)"]
