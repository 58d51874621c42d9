"""SIGTERM while a module loads: an extension may turn it into another error; `hotdash up` still says what it was."""

import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from hotdash_pipelines.local import children
from hotdash_pipelines.local.children import Children, Terminated, unwind_on_signals

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


@pytest.mark.parametrize(
    "number, raised", [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_that_a_weak_reference_swallowed_ends_the_next_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: type[BaseException]
) -> None:
    class Gone:
        pass

    swallowed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    unwind_on_signals()
    try:
        gone = Gone()
        weak = weakref.ref(gone, lambda _: os.kill(os.getpid(), number))
        del gone
        assert weak() is None
        assert len(swallowed) == 1
        with pytest.raises(raised):
            Children(tmp_path).watch()
    finally:
        children._received.clear()
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_another_error_stays_what_it_is() -> None:
    program = PROGRAM.replace("os.kill(os.getpid(), signal.SIGTERM)", "raise KeyboardInterrupt")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "AttributeError" in ran.stderr
