"""Dumps of single tables that are proven before they count.

Belongs here: pg_dump into a folder, reading the dump back whole, the manifest that makes the folder a backup.
Does not belong here: which tables, and why (rollback.py).
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.storage.sealed import sha256_of
from hotdash_pipelines.warehouse.postgres import libpq_env
from hotdash_pipelines.warehouse.server.binaries import tool_for_server

DATA = "data.dump"
MANIFEST = "manifest.json"
_LOCK_WAIT = "30s"


class DumpError(HotdashError):
    """A dump could not be made or proven. One line; the folder holds no manifest then."""


def dump_tables(
    url: str, tables: Sequence[tuple[str, str]], server_major: int, folder: Path, *, under_policies: bool
) -> dict[str, int]:
    """Write (schema, table)s to `folder` in pg_dump's custom format, then decode the whole file again.

    Returns the rows that the decoded dump holds by `schema.table`. `under_policies` is for users whom row-level
    security binds: without it pg_dump refuses such tables, with it the dump holds what the policies show, so compare
    the counts. Raises DumpError.
    """
    target = folder / DATA
    program = tool_for_server("pg_dump", server_major)
    patterns = [f'--table="{_quote(schema)}"."{_quote(table)}"' for schema, table in tables]
    options = ["--enable-row-security"] if under_policies else []
    _run(
        [
            str(program), "--format=custom", "--no-password", f"--lock-wait-timeout={_LOCK_WAIT}", f"--file={target}",
            *options, *patterns,
        ],
        url,
    )  # fmt: skip
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return decoded_rows(target, server_major)


def decoded_rows(dump: Path, server_major: int) -> dict[str, int]:
    """Rows of each table in a dump, by reading all of it: a listing passes on a file that was cut off.

    Raises DumpError for a file that does not decode to its end.
    """
    program = tool_for_server("pg_restore", server_major)
    counts: dict[str, int] = {}
    table: str | None = None
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603 - a fixed program on our own file
            [program, "--data-only", "--file=-", dump], stdout=subprocess.PIPE, stderr=complaints
        ) as running,
    ):
        assert running.stdout is not None  # noqa: S101 - for the type checker
        for line in running.stdout:
            # COPY's text form keeps a row on one line: a newline inside a value is written as \n.
            if table is not None:
                if line == b"\\.\n":
                    table = None
                else:
                    counts[table] += 1
            elif line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
                table = _copied(line.decode())
                counts[table] = 0
        running.wait()
        complaints.seek(0)
        reason = complaints.read().decode(errors="replace")
    if running.returncode != 0 or table is not None:
        raise DumpError(
            f"the dump {dump} cannot be read back ({_last(reason)}): look for space on the disk, then run again"
        )
    return counts


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Add size and sha256 of every file to a manifest and write it: with it the folder becomes a backup."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    unfinished = folder / f"{MANIFEST}.unfinished"
    with unfinished.open("w") as file:
        json.dump({**manifest, "files": files}, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.chmod(0o600)
    unfinished.rename(folder / MANIFEST)
    for place in (folder, folder.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def client_version(server_major: int) -> str:
    """What pg_dump calls itself, for manifests."""
    program = tool_for_server("pg_dump", server_major)
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _run(command: list[str], url: str) -> None:
    environment = {**os.environ, **libpq_env(url)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    if done.returncode != 0:
        raise DumpError(f"pg_dump failed ({_last(done.stderr)}): mend that, then run again")


def _last(reason: str) -> str:
    lines = [line.strip() for line in reason.splitlines() if "error" in line] or reason.strip().splitlines()
    return lines[0] if lines else "no reason given"


def _copied(line: str) -> str:
    """`schema.table` of `COPY schema.table (columns) FROM stdin;`, quoted as pg_dump quotes it."""
    return line.removeprefix("COPY ").removesuffix(" FROM stdin;\n").partition(" (")[0]


def _quote(name: str) -> str:
    return name.replace('"', '""')
