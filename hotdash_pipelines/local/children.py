"""Child processes of `hotdash up`: started in their own process groups, logged to files, all stopped at the end.

Belongs here: starting, watching and stopping processes. Does not belong here: which ones (cli.up).
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.storage import make_private

# Signals that came since `unwind_on_signals`.
_received: set[int] = set()


class ChildError(HotdashError):
    """A child did not start or died. The message names it and its log."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised like Ctrl-C so that every `finally` runs."""


def unwind_on_signals() -> None:
    """Make SIGTERM and SIGINT unwind the stack, so that every `finally` runs."""
    _received.clear()

    def _note_and_raise(number: int, _frame: FrameType | None) -> None:
        _received.add(number)
        raise_received()

    signal.signal(signal.SIGTERM, _note_and_raise)
    signal.signal(signal.SIGINT, _note_and_raise)


def raise_received() -> None:
    """Raise for a signal that came: it is lost where it is raised in a callback that may raise nothing."""
    if signal.SIGTERM in _received:
        raise Terminated
    if signal.SIGINT in _received:
        raise KeyboardInterrupt


def was_terminated() -> bool:
    """Whether SIGTERM came since `unwind_on_signals`: raised while a module loads, it may surface as another error."""
    return signal.SIGTERM in _received


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Child:
    """One running process and the file it logs to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 5) -> str:
        """The end of its log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


@dataclass
class Children:
    """The children of one `hotdash up`. Leaving the context stops them in reverse order."""

    logs: Path
    running: list[Child] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str], *, piped: bool = False) -> Child:
        """Start a process in its own group, its output in `<logs>/<name>.log`; `piped`: stdin and stdout are ours."""
        make_private(self.logs)
        log = self.logs / f"{name}.log"
        with open(log, "ab", opener=_owner_only) as output:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
            )
        child = Child(name, process, log)
        self.running.append(child)
        return child

    def wait_until(self, child: Child, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `is_ready`; ChildError when the child dies first or the time is over."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            raise_received()
            if child.process.poll() is not None:
                raise ChildError(
                    f"{child.name} ended with exit code {child.process.returncode}; "
                    f"see {child.log}:\n{child.last_lines()}"
                )
            if time.monotonic() > deadline:
                raise ChildError(f"{child.name} was not ready after {seconds:.0f} s; see {child.log}")
            time.sleep(0.05)

    def watch(self) -> Child:
        """Block until a child ends; return it."""
        while True:
            raise_received()
            for child in self.running:
                if child.process.poll() is not None:
                    return child
            time.sleep(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, grace_s: float = 10.0) -> None:
        """SIGTERM to every group, SIGKILL to what is left after `grace_s`."""
        for child in reversed(self.running):
            _signal_group(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        for child in reversed(self.running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            # Also after a clean end: a code server leaves grandchildren behind in its group.
            _signal_group(child.process.pid, signal.SIGKILL)
            child.process.wait()
            # After its end: it takes the end of its input for ours.
            for pipe in filter(None, (child.process.stdin, child.process.stdout)):
                pipe.close()
        self.running.clear()


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
