"""Throw-away databases for tests: a migrated template on each server, and copies of it that cost milliseconds.

Belongs here: servers and databases for fixtures. Does not belong here: fixtures (conftest.py).
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from hotdash_pipelines.warehouse.migrations.files import migrations
from hotdash_pipelines.warehouse.postgres import ensure_database, with_database
from hotdash_pipelines.warehouse.schema.migrate import migrate
from hotdash_pipelines.warehouse.server import processes
from hotdash_pipelines.warehouse.server.binaries import run_as, server_user
from tests.folders import quick_folder

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


def template(admin_url: str, home: Path) -> str:
    """Name of a migrated template database on the server, made once for all workers and versions of the migrations."""
    digest = hashlib.sha256("".join(m.up_sha256 + m.down_sha256 for m in migrations()).encode()).hexdigest()[:12]
    name = f"template_{digest}"
    port = admin_url.rsplit(":", 1)[1].split("/")[0]
    with (home / f"template-{port}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_database(admin_url, name)
        migrate(with_database(admin_url, name))
    return name


@contextmanager
def fresh_database(admin_url: str, template_name: str) -> Iterator[str]:
    """URL of a new database copied from the template; dropped afterwards, sessions that still use it included."""
    name = f"t_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{template_name}"')
        try:
            yield with_database(admin_url, name)
        finally:
            admin.execute(f'drop database if exists "{name}" with (force)')


@contextmanager
def debian_postgres_15(**more: str) -> Iterator[str]:
    """URL of a Postgres 15 server from Debian's binaries, with `more` settings, run for the caller and then removed."""
    user = server_user()
    folder = Path(tempfile.mkdtemp(prefix="hotdash-pg15-", dir=quick_folder()))
    folder.chmod(0o711)
    data, password = folder / "data", folder / "password"
    password.write_text("fifteen")
    data.mkdir(mode=0o700)
    if user:
        for path in (data, password):
            os.chown(path, user.uid, user.gid)
    port = processes.free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "TimeZone": "Asia/Kolkata",
        **more,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    subprocess.run(
        [
            DEBIAN_15 / "initdb",
            "-D",
            data,
            "-U",
            "owner",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        **run_as(user),
    )
    server = subprocess.Popen([DEBIAN_15 / "postgres", "-D", data, *options], stderr=subprocess.DEVNULL, **run_as(user))
    try:
        deadline = time.monotonic() + 30
        while not ((found := processes.read_postmaster(data)) and found.ready):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Debian's Postgres 15 did not start")
            time.sleep(0.02)
        yield f"postgresql://owner:fifteen@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(2)
        server.wait(30)
        shutil.rmtree(folder)
