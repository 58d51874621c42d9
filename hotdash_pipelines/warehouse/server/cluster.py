"""The data folder of an embedded server: where it may be, and how it is made.

Belongs here: choosing a place that the server's user reaches, initdb, files that nobody else may read.
Does not belong here: starting and stopping the server on it (embedded.py).
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hotdash_pipelines.warehouse.server.binaries import EmbeddedPostgresError, ServerUser, install_for, reaches, run_as


def place_for(home: Path, folder: Path, user: ServerUser | None) -> Path:
    """Where the data lives: in `folder` of the home, or where `user` cannot reach that, in a folder of its own.

    The modes of folders that were there before are never changed.
    """
    if user is None:
        return folder
    folder.chmod(0o711)
    if reaches(user, folder.parent):
        return folder
    name = f"hotdash-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]}"
    for parent in (Path("/var/lib"), Path(tempfile.gettempdir())):
        place = parent / name
        try:
            place.mkdir(mode=0o711, exist_ok=True)
        except OSError:
            continue
        status = place.lstat()
        # Whoever made the folder in a shared place before us could swap what is in it.
        is_ours = not place.is_symlink() and status.st_uid == os.geteuid() and not status.st_mode & 0o022
        if is_ours and reaches(user, parent):
            place.chmod(0o711)
            return place
    raise EmbeddedPostgresError(
        f"no folder for the server's data that user {user.name} can reach: {home} is private, and /var/lib "
        f"and {tempfile.gettempdir()} cannot be used; set HOTDASH_HOME to a reachable folder, or HOTDASH_DATABASE_URL"
    )


def create(place: Path, superuser: str, password: str, user: ServerUser | None, *, sync: bool) -> Path:
    """Make `<place>/data` unless it is there. It gets its name when initdb is through: a kill leaves nothing half made.

    `sync=False` leaves flushing to the operating system. Raises EmbeddedPostgresError with initdb's reason.
    """
    data, unfinished = place / "data", place / "data.unfinished"
    if data.exists():
        return data
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    give(unfinished, user)
    _initdb(install_for(user, place), place, unfinished, superuser, password, user, sync)
    unfinished.rename(data)
    return data


def _initdb(
    install: Path, place: Path, data: Path, superuser: str, password: str, user: ServerUser | None, sync: bool
) -> None:
    password_file = place / "initdb-password"
    write_private(password_file, password)
    give(password_file, user)
    command = [install / "bin" / "initdb", "-D", data, "-U", superuser, "--auth=scram-sha-256"]
    options = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--data-checksums"]
    # Iterations slow down guessing a weak password; this one is random, and Dagster connects for every event it stores
    # (3.5 ms a connection instead of 9).
    options.append("--set=scram_iterations=1")
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [*command, f"--pwfile={password_file}", *options, *(() if sync else ("--no-sync",))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **run_as(user),  # type: ignore[call-overload]
        )
    finally:
        password_file.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        complaints = (line for line in done.stdout.splitlines() if "error:" in line or "FATAL" in line)
        raise EmbeddedPostgresError(f"initdb failed in {place}: {next(complaints, 'no reason given').strip()}")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("include = 'hotdash.conf'\n")


def set_aside(data: Path) -> None:
    """Data outside a home that was deleted is neither adopted nor dropped: the newest such copy is kept beside."""
    left = data.with_name("data-of-a-deleted-home")
    shutil.rmtree(left, ignore_errors=True)
    data.rename(left)


def write_private(path: Path, content: str) -> None:
    """Create a file that nobody else can read at any moment: it is there in full or not at all."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def give(path: Path, user: ServerUser | None) -> None:
    """Make `user` the owner of a file or folder of the server."""
    if user is not None:
        os.chown(path, user.uid, user.gid)
