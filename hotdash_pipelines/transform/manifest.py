"""dbt's manifest: made once, reused until the project changes.

Belongs here: where the dbt project is, and the decision whether its manifest still fits.
Does not belong here: running models (defs/transform).

`DbtProject.prepare_if_dev()` acts only under `dagster dev`, so every other entry point (webserver, daemon, tests,
`hotdash up`, the image) comes here. `dbt parse` needs no database and no network.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.settings import PROJECT_ROOT

DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"
_PARSED = ("models", "macros", "tests", "seeds", "snapshots", "analyses")
_MANIFEST, _PARTIAL, _STAMP = "manifest.json", "partial_parse.msgpack", "manifest.digest"


class ManifestError(HotdashError):
    """`dbt parse` failed. The message holds what dbt said."""


def dbt_executable() -> str:
    """The dbt beside this interpreter, so that an unactivated environment works; by our program.py if installed."""
    beside = (Path(sys.executable).parent / name for name in ("hotdash-dbt", "dbt"))
    return next((str(program) for program in beside if program.exists()), "dbt")


def project_digest(project_dir: Path = DBT_PROJECT_DIR) -> str:
    """A hash over every file that dbt parses, by path and content."""
    digest = hashlib.sha256()
    files = [project_dir / "dbt_project.yml", project_dir / "profiles.yml"]
    for folder in _PARSED:
        files += sorted(
            path
            for path in (project_dir / folder).rglob("*")
            if path.suffix in {".sql", ".yml", ".yaml", ".md", ".csv"}
        )
    for path in files:
        digest.update(str(path.relative_to(project_dir)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def prepare_manifest(project_dir: Path = DBT_PROJECT_DIR, environment: Mapping[str, str] | None = None) -> Path:
    """The path of a manifest that fits the project, after `dbt parse` when the last one does not.

    An image carries its manifest and may be read-only: nothing is written while the stored digest fits. Any number of
    processes may ask at once, and any of them may be killed: one parses, into a folder of its own, and what it made is
    moved into place whole. The digest is stored last, so it never vouches for a manifest that is not there.
    """
    target = project_dir / "target"
    digest = project_digest(project_dir)
    if _fits(target, digest):
        return target / _MANIFEST
    target.mkdir(exist_ok=True)
    with (target / ".manifest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _fits(target, digest):
            for left in target.glob(".parsing-*"):  # by a process that was killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=".parsing-", dir=target) as folder:
                parsed = Path(folder)
                _parse(project_dir, parsed, environment or {})
                (target / _STAMP).unlink(missing_ok=True)
                for name in (_PARTIAL, _MANIFEST):
                    (parsed / name).replace(target / name)
                (parsed / _STAMP).write_text(digest)
                (parsed / _STAMP).replace(target / _STAMP)
    return target / _MANIFEST


def _fits(target: Path, digest: str) -> bool:
    stamp = target / _STAMP
    return (target / _MANIFEST).exists() and stamp.exists() and stamp.read_text() == digest


def _parse(project_dir: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """`dbt parse` into `folder`, from what was parsed before where there is such."""
    before = project_dir / "target" / _PARTIAL
    if before.exists():
        shutil.copy2(before, folder / _PARTIAL)
    command = [
        dbt_executable(),
        "--quiet",
        "--no-send-anonymous-usage-stats",
        "parse",
        "--project-dir",
        str(project_dir),
        "--profiles-dir",
        str(project_dir),
        "--target-path",
        str(folder),
    ]
    finished = subprocess.run(  # noqa: S603 - our own executable and constant arguments
        command,
        cwd=project_dir,
        env={**os.environ, "DO_NOT_TRACK": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise ManifestError(f"dbt parse failed:\n{finished.stdout}{finished.stderr}".strip())
