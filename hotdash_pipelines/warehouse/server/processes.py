"""What is known of a Postgres server from its data folder and the process table.

Belongs here: reading postmaster.pid, finding the processes of one data folder, ending those a dead server left behind.
Does not belong here: how a server is set up or started (embedded.py).
"""

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_PROCESS_NAMES = ("postgres", "postmaster")


@dataclass(frozen=True)
class Postmaster:
    """What a server wrote to postmaster.pid: process id, TCP port, and whether it takes connections."""

    pid: int
    port: int
    ready: bool


def read_postmaster(data: Path) -> Postmaster | None:
    """The postmaster of a data folder by its own pid file, None without one or while it is being written."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return Postmaster(int(lines[0]), int(lines[3]), len(lines) > 7 and lines[7].strip() == "ready")
    except (OSError, ValueError, IndexError):
        return None


def serves(pid: int, data: Path) -> bool:
    """Whether live process `pid` is a server of `data`: after a crash its number may belong to anything.

    Postgres keeps the working directory of all of its processes in its data folder.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return _serves(process, os.path.realpath(data))
    except psutil.Error:
        return False


def _serves(process: "psutil.Process", data: str) -> bool:
    import psutil

    return process.name() in _PROCESS_NAMES and process.cwd() == data and process.status() != psutil.STATUS_ZOMBIE


def processes_of(data: Path) -> list[int]:
    """Live server processes of a data folder, a postmaster or the backends that outlived theirs."""
    import psutil

    wanted = os.path.realpath(data)
    pids = []
    for process in psutil.process_iter():
        try:
            if _serves(process, wanted):
                pids.append(process.pid)
        except psutil.Error:
            continue
    return pids


def end_starting(data: Path) -> None:
    """End every process that was started to serve a data folder, however young.

    One that has not yet written its pid file is known by its command line alone. SIGTERM, because the shell that starts
    a server has it ignore SIGINT until it is up.
    """
    import psutil

    ended = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and str(data) in process.cmdline():
                process.terminate()
                ended.append(process)
    for process in psutil.wait_procs(ended, timeout=10)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def is_open(port: int) -> bool:
    """Whether something accepts TCP connections on 127.0.0.1:`port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_gone(data: Path, pids: list[int], seconds: float) -> list[int]:
    """Wait until these processes of `data` have ended; returns those that have not."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if serves(pid, data)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def clear_crash(data: Path, patience: float = 2.0) -> None:
    """Make a data folder startable after its postmaster was killed.

    Backends notice a dead postmaster only when they next wait, and the shared memory they hold keeps a new server from
    starting; those that outlast `patience` seconds are killed, which recovery allows for. The pid file is removed only
    when no server process is left, so that a number reused by another program cannot block the start.
    """
    for pid in wait_gone(data, processes_of(data), patience):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not wait_gone(data, processes_of(data), 5.0):
        (data / "postmaster.pid").unlink(missing_ok=True)
