"""SIGTERM while a module loads: an extension may turn it into another error; `hotdash up` still says what it was."""

import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.local import children
from hotdash_pipelines.local.children import Terminated, unwind_on_signals

PROGRAM = """
import os, signal
import typer
from hotdash_pipelines.cli import up

def load_a_module(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise AttributeError("partially initialized module") from None

up._run = load_a_module
app = typer.Typer()
app.command()(up.up)
app([])
"""


def test_a_sigterm_that_a_loading_module_swallowed_ends_up_with_143() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 143, ran.stderr
    assert "stopped by SIGTERM" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_sigint_while_a_module_loads_ends_up_with_130(tmp_path: Path) -> None:
    """As `python -m`, whose exit code an interrupt within `exec` would otherwise decide."""
    interrupted = PROGRAM.replace("os.kill(os.getpid(), signal.SIGTERM)", 'exec("raise KeyboardInterrupt")')
    interrupted = interrupted.replace('raise AttributeError("partially initialized module") from None', "raise")
    (tmp_path / "program.py").write_text(interrupted)
    ran = subprocess.run(
        [sys.executable, "-m", "program"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 130, ran.stderr
    assert "stopped" in ran.stderr


def test_a_sigterm_that_a_weak_reference_swallowed_before_the_run_ends_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from hotdash_pipelines import definitions
    from hotdash_pipelines.local import first_load

    class Gone:
        pass

    def load() -> Any:
        gone = Gone()
        weak = weakref.ref(gone, lambda _: os.kill(os.getpid(), signal.SIGTERM))
        del gone
        assert weak() is None
        return definitions_before()

    definitions_before = definitions.defs
    monkeypatch.setattr(definitions, "defs", load)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    unwind_on_signals()
    try:
        with pytest.raises(Terminated):
            first_load.run_nightly(None, "2026-03-09", "2026-03-09", lambda _: None)  # type: ignore[arg-type]
        assert "Traceback" not in capfd.readouterr().err
    finally:
        children._terminated.clear()
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_another_error_stays_what_it_is() -> None:
    program = PROGRAM.replace("os.kill(os.getpid(), signal.SIGTERM)", "raise KeyboardInterrupt")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "AttributeError" in ran.stderr
