"""SIGTERM while a module loads: an extension may turn it into another error; `hotdash up` still says what it was."""

import subprocess
import sys

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


def test_another_error_stays_what_it_is() -> None:
    program = PROGRAM.replace("os.kill(os.getpid(), signal.SIGTERM)", "raise KeyboardInterrupt")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "AttributeError" in ran.stderr
