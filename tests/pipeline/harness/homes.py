"""A home as a user has it: embedded server, stand-in store, no setting that matters; started, watched and stopped.

Belongs here: running `hotdash` in such a home, seeing its processes and asking its UI.
Does not belong here: assertions about the pipeline, stacks on the test session's server (stack.py).
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.local.children import free_port
from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.pipeline.harness.stack import NOW, SEED, Ran, Stack

HOTDASH = (sys.executable, "-m", "hotdash_pipelines.cli")
SCALE = 0.002
_MARK = "HOTDASH_TEST_MARK"


def until(what: str, is_so: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something; AssertionError naming it when the time is over."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


class CommandLines:
    """Every command line that any process of this machine showed while the context was open."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def seen(self) -> frozenset[str]:
        """What was seen until now: a copy, for the watching goes on while a test reads it."""
        return frozenset(self._seen)

    def _watch(self) -> None:
        while not self._stop.is_set():
            for folder in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    self._seen.add((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            self._stop.wait(0.05)


class Command:
    """One running `hotdash` command, its output in files."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self._folder = process, folder

    @property
    def out(self) -> str:
        """Standard output so far."""
        return (self._folder / "out").read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return (self._folder / "err").read_text()

    def says(self, text: str, seconds: float = 300) -> None:
        """Wait until standard error holds the text; AssertionError when the command ends first."""

        def is_said() -> bool:
            ended = self.process.poll() is not None
            said = text in self.err
            assert said or not ended, f"ended with {self.process.returncode} before it said {text!r}:\n{self.err}"
            return said

        until(f"{text!r} on standard error", is_said, seconds)

    def end(self, number: int | None = None, seconds: float = 120) -> int:
        """Send the signal, if one is given, and wait for the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=seconds)


class Home:
    """One home. `program` is the command before its arguments, `settings` the variables on top of the usual ones."""

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] = HOTDASH,
        folder: Path | None = None,
    ) -> None:
        self.path, self.program, self._folder = path, tuple(program), folder
        self.port = free_port()
        self._mark = uuid.uuid4().hex
        self._settings = dict(settings or {})
        self._logs = path.parent / f"{path.name}-output"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every command in this home."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HOTDASH_", "DAGSTER_"))},
            "HOTDASH_HOME": str(self.path),
            "HOTDASH_FIXED_NOW": NOW.isoformat(),
            "HOTDASH_DEMO_SCALE": str(SCALE),
            "HOTDASH_DEMO_SEED": str(SEED),
            "HOTDASH_REREAD_AFTER_MINUTES": "0",
            "HOTDASH_WEBSERVER_PORT": str(self.port),
            _MARK: self._mark,
            **self._settings,
        }

    @property
    def url(self) -> str:
        """Address of the Dagster UI while it is served."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Command:
        """Start `hotdash <arguments>`."""
        folder = self._logs / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [*self.program, *arguments],
                env={**self.environment, **(settings or {})},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Command(process, folder)

    def run(self, *arguments: str, settings: Mapping[str, str] | None = None, seconds: float = 400) -> Ran:
        """Run `hotdash <arguments>` to its end."""
        command = self.start(*arguments, settings=settings)
        return Ran(command.end(seconds=seconds), command.out, command.err)

    def up(self, days: int = 1, settings: Mapping[str, str] | None = None) -> Ran:
        """`hotdash up --no-serve --json`."""
        return self.run("up", "--no-serve", "--json", "--days", str(days), settings=settings)

    def processes(self) -> list[psutil.Process]:
        """Every living process that a command of this home started, orphans included; the Postgres server apart."""
        living = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    living.append(process)
            except psutil.Error:
                continue
        return living

    def left_behind(self) -> list[str]:
        """What still runs: command lines, and `Postgres` when the embedded server is up.

        Python's tracker of shared resources outlives by a moment the process whose end it notices.
        """
        trackers = [process for process, line in self._lines() if "multiprocessing.resource_tracker" in line]
        psutil.wait_procs(trackers, timeout=20)
        left = [line for _, line in self._lines()]
        return [*left, "Postgres"] if EmbeddedPostgres(self.path).status().running else left

    def _lines(self) -> list[tuple[psutil.Process, str]]:
        """Every process with its command line; one may end while the others are looked at."""
        lines = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                lines.append((process, " ".join(process.cmdline())))
        return lines

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Data of a GraphQL answer of the served UI."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": dict(variables or {})}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.load(answer)
        assert "errors" not in content, content["errors"]
        return content["data"]

    def endpoint(self) -> dict[str, Any]:
        """The stand-in's address and credentials."""
        return json.loads((self.path / "demo" / "endpoint.json").read_text())

    @contextmanager
    def server(self) -> Iterator[EmbeddedPostgres]:
        """The home's server, started for the caller and stopped again."""
        server = EmbeddedPostgres(self.path)
        server.up()
        try:
            yield server
        finally:
            server.down()

    def stack(self, server: EmbeddedPostgres) -> Stack:
        """What is in this home's running server, to be looked at as any stack."""
        return Stack(self.path, server.url(), server.url("dagster"))

    def layers(self) -> dict[str, str]:
        """Checksum of every table that the pipeline writes and digest of every partition; the server is not running.

        The instant up to which a day's figures are whole is left out: every reading moves it on.
        """
        with self.server() as server:
            stack = self.stack(server)
            tables = stack.checksums("raw_%", "marts_%", "metrics", without=["as_of"])
            return {**tables, **stack.lake_digests()}

    def destroy(self) -> None:
        """End everything that still runs here and remove the server's data."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        EmbeddedPostgres(self.path).destroy()


@dataclass(frozen=True)
class Served:
    """A home that a running `hotdash up` serves."""

    home: Home
    command: Command
    command_lines: CommandLines

    @property
    def outcome(self) -> dict[str, Any]:
        """What the command printed on standard output."""
        return json.loads(self.command.out)


@dataclass(frozen=True)
class Stopped:
    """The same home after SIGTERM: the exit code, what was left behind, and the stand-in's last credentials."""

    home: Home
    command: Command
    code: int
    left_behind: list[str]
    endpoint: dict[str, Any]


@dataclass(frozen=True)
class Spoiled:
    """The home after a load that found a planted row. `slack` is where it told so; `layers_before` from before that."""

    home: Home
    ran: Ran
    slack: RunningStandIn
    layers_before: dict[str, str]


@dataclass(frozen=True)
class Reloaded:
    """The home after a load that followed the spoiled one, the planted row gone."""

    home: Home
    ran: Ran
    left_behind: list[str]
    layers_before: dict[str, str]


def copy_of_the_project(folder: Path) -> Path:
    """Every tracked file, without environment and build output."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (PROJECT_ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_ROOT / name, target)
    return folder


@contextmanager
def home_in(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Home]:
    """An empty home in a folder; whatever it started is ended afterwards."""
    home = Home(folder / "home", settings)
    try:
        yield home
    finally:
        home.destroy()
