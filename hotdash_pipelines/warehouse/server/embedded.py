"""The Postgres server that needs no set-up: its whole life, from an empty folder to running to stopped.

Belongs here: creating, starting, repairing and stopping the server of one home folder.
Does not belong here: which programs run it (binaries.py), how its data folder is made (cluster.py), connections and
SQL (postgres.py, warehouse/schema/migrate.py).

The home keeps everything that identifies the server: the password (0600), the port, a pointer to the data, the log.
The server listens on 127.0.0.1 alone, takes passwords alone, and outlives the process that started it.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hotdash_pipelines.storage import make_private
from hotdash_pipelines.warehouse.server import cluster, processes
from hotdash_pipelines.warehouse.server.binaries import (
    EmbeddedPostgresError,
    ServerUser,
    install_for,
    run_as,
    server_user,
)

SUPERUSER = "hotdash"
DATABASES = ("hotdash", "dagster")
Profile = Literal["durable", "fast"]

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LOG_BYTES = 20 * 2**20
_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %d '",
    # DETAIL lines quote the values of failing rows.
    "log_error_verbosity": "terse",
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    "work_mem": "'32MB'",
    "maintenance_work_mem": "'128MB'",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'15min'",
    # Nothing replicates from this server, and tables filled in the transaction that made them then skip the WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "'128MB'"}


@dataclass(frozen=True)
class ServerAddress:
    """Where a running server is reached. The password is in the file, never in here."""

    host: str
    port: int
    user: str
    password_file: Path


@dataclass(frozen=True)
class ServerStatus:
    """What is known of a home's server; `pid` and `port` are None unless it runs."""

    running: bool
    pid: int | None
    port: int | None
    data: Path | None
    log: Path


class EmbeddedPostgres:
    """The server of one home folder. `profile="fast"` gives up durability and is for tests alone."""

    def __init__(self, home: Path, profile: Profile = "durable") -> None:
        self.home = Path.cwd() / home
        self.folder = self.home / "postgres"
        self.password_file = self.folder / "password"
        self.log_file = self.folder / "log" / "server.log"
        self._port_file = self.folder / "port"
        self._pointer = self.folder / "data.json"
        self._complete = self.folder / "complete"
        self._profile = profile

    def up(self) -> ServerAddress:
        """Start the server, creating it first where there is none; a running one is left alone (milliseconds).

        Raises EmbeddedPostgresError with one line that says what to do.
        """
        running = self._running()
        if running is None or not self._complete.exists():
            with self._locked():
                running = self._running() or self._start()
                self._create_databases(running.port)
        return self._address(running.port)

    def down(self) -> bool:
        """Stop the server and wait for it; False when none ran. Open transactions are rolled back."""
        if not self.folder.exists():
            return False
        with self._locked():
            return self._stop()

    def destroy(self) -> None:
        """Stop the server and delete its data, password and log. The home's other folders stay."""
        if not self.folder.exists():
            return
        with self._locked():
            self._stop()
            data = self._data()
            if data is not None and data.parent != self.folder:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(data.parent)
        shutil.rmtree(self.folder)

    def status(self) -> ServerStatus:
        """Whether the server runs, and where its data and log are. Starts nothing, writes nothing."""
        running = self._running()
        pid, port = (running.pid, running.port) if running else (None, None)
        return ServerStatus(running is not None, pid, port, self._data(), self.log_file)

    def url(self, database: str = "hotdash", *, with_password: bool = True) -> str:
        """Connection URL of a database on the running server. With the password it must not be printed or logged."""
        running = self._running()
        if running is None:
            raise EmbeddedPostgresError(
                f"the embedded Postgres of {self.home} does not run: start it with `hotdash db up`"
            )
        user = f"{SUPERUSER}:{self._password()}" if with_password else SUPERUSER
        return f"postgresql://{user}@127.0.0.1:{running.port}/{database}"

    def _address(self, port: int) -> ServerAddress:
        return ServerAddress("127.0.0.1", port, SUPERUSER, self.password_file)

    def _running(self) -> processes.Postmaster | None:
        data = self._data()
        postmaster = processes.read_postmaster(data) if data else None
        if (
            data
            and postmaster
            and postmaster.ready
            and processes.serves(postmaster.pid, data)
            and processes.is_open(postmaster.port)
        ):
            return postmaster
        return None

    def _data(self) -> Path | None:
        try:
            return Path(json.loads(self._pointer.read_text())["data"])
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise self._foreign(error) from error
        except (OSError, ValueError, KeyError) as error:
            raise EmbeddedPostgresError(
                f"{self._pointer} cannot be read ({type(error).__name__}): put back the entry that names the data, "
                f"or remove {self.folder} to begin with an empty warehouse"
            ) from error

    def _foreign(self, error: OSError) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"{error.filename}: {error.strerror}: run as the user that made {self.home}, "
            "or set HOTDASH_HOME to a folder of your own"
        )

    def _password(self) -> str:
        try:
            return self.password_file.read_text()
        except PermissionError as error:
            raise self._foreign(error) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time may create, start or stop this server; the lock dies with its holder."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            make_private(self.folder / "log")
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._foreign(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _start(self) -> processes.Postmaster:
        user = server_user()
        data = self._data() or self._initialise(user)
        if not (data / "PG_VERSION").exists():
            raise EmbeddedPostgresError(
                f"the data folder {data} of {self.home} is gone: put it back, "
                f"or remove {self.folder} to begin with an empty warehouse"
            )
        install = install_for(user, data.parent)
        processes.clear_crash(data)
        for _ in range(5):
            port = self._choose_port()
            self._write_settings(data, user, port)
            started = self._launch(install, data, user)
            if started is not None:
                return started
            if "could not bind" not in self._last_log():
                raise EmbeddedPostgresError(
                    f"the embedded Postgres did not start: {self._complaint()} (log: {self.log_file})"
                )
        raise EmbeddedPostgresError(
            f"the embedded Postgres found no free port on 127.0.0.1 in five tries (log: {self.log_file})"
        )

    def _initialise(self, user: ServerUser | None) -> Path:
        place = cluster.place_for(self.home, self.folder, user)
        if (place / "data").exists() and not self.password_file.exists():
            _stop_server(place / "data")
            cluster.set_aside(place / "data")
        if not self.password_file.exists():
            cluster.write_private(self.password_file, secrets.token_urlsafe(24))
        data = cluster.create(place, SUPERUSER, self._password(), user, sync=self._profile == "durable")
        cluster.write_private(self._pointer, json.dumps({"data": str(data)}) + "\n")
        return data

    def _choose_port(self) -> int:
        """The port of the last start while it is free, so that clients' saved addresses stay good."""
        try:
            kept = int(self._port_file.read_text())
        except (OSError, ValueError):
            kept = 0
        port = kept if kept and processes.is_free(kept) else processes.free_port()
        cluster.write_private(self._port_file, f"{port}\n")
        return port

    def _write_settings(self, data: Path, user: ServerUser | None, port: int) -> None:
        settings = {**_SETTINGS, **(_FAST if self._profile == "fast" else {}), "port": str(port)}
        path = data / "hotdash.conf"
        path.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        cluster.give(path, user)

    def _launch(self, install: Path, data: Path, user: ServerUser | None) -> processes.Postmaster | None:
        """Start the server detached; None when it ended instead of getting ready."""
        self._rotate_log()
        try:
            return self._await_ready(self._spawn(install, data, user), data)
        except KeyboardInterrupt:
            # SIGTERM comes as one too. A server without a pid file yet would be found by nobody who wants to stop it.
            processes.end_starting(data)
            raise

    def _spawn(self, install: Path, data: Path, user: ServerUser | None) -> int:
        """A shell starts it in the background and ends, so that it is nobody's child and survives whoever ran this."""
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            shell = subprocess.run(  # noqa: S603 - a fixed command
                ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", str(install / "bin" / "postgres"), "-D", str(data)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
                check=True,
                **run_as(user),  # type: ignore[call-overload]
            )
        finally:
            os.close(log)
        return int(shell.stdout)

    def _await_ready(self, pid: int, data: Path) -> processes.Postmaster | None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            postmaster = processes.read_postmaster(data)
            if postmaster and postmaster.pid == pid and postmaster.ready:
                return postmaster
            if not _alive(pid):
                return None
            time.sleep(0.01)
        raise EmbeddedPostgresError(
            f"the embedded Postgres is not ready after {_START_SECONDS:.0f} s, it may be recovering: "
            f"look into {self.log_file}, then run again"
        )

    def _create_databases(self, port: int) -> None:
        if self._complete.exists():
            return
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=port, user=SUPERUSER, password=self._password(), dbname="postgres", autocommit=True
        ) as conn:
            there = {name for (name,) in conn.execute("select datname from pg_database")}
            for name in DATABASES:
                if name not in there:
                    conn.execute(f'create database "{name}"')
        self._complete.touch(mode=0o600)

    def _stop(self) -> bool:
        data = self._data()
        return data is not None and _stop_server(data)

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log_file.stat().st_size > _LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def _last_log(self) -> str:
        try:
            return self.log_file.read_bytes()[-4000:].decode(errors="replace")
        except OSError:
            return ""

    def _complaint(self) -> str:
        lines = [line for line in self._last_log().splitlines() if "FATAL" in line or "PANIC" in line]
        return lines[-1].split("] ", 1)[-1].strip() if lines else "it left no message"


def _stop_server(data: Path) -> bool:
    """Fast shutdown, then an immediate one where that takes too long; False when no server ran."""
    postmaster = processes.read_postmaster(data)
    if postmaster is None or not processes.serves(postmaster.pid, data):
        return False
    for wanted, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster.pid, wanted)
        if not processes.wait_gone(data, [postmaster.pid], seconds):
            return True
    raise EmbeddedPostgresError(f"the embedded Postgres (process {postmaster.pid}) does not stop: end it by hand")


def _alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
