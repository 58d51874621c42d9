"""dbt's manifest: made once, reused until the project changes.

Belongs here: where the dbt project is, and the decision whether its manifest still fits.
Does not belong here: running models (defs/transform).

`DbtProject.prepare_if_dev()` acts only under `dagster dev`, so every other entry point (webserver, daemon, tests,
`hotdash up`, the image) comes here. `dbt parse` needs no database and no network.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from hotdash_pipelines.settings import PROJECT_ROOT

DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"
_PARSED = ("models", "macros", "tests", "seeds", "snapshots", "analyses")


class ManifestError(RuntimeError):
    """`dbt parse` failed. The message holds what dbt said."""


def dbt_executable() -> str:
    """The dbt beside this interpreter, so that an unactivated environment works."""
    beside = Path(sys.executable).parent / "dbt"
    return str(beside) if beside.exists() else "dbt"


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

    An image carries its manifest and may be read-only: nothing is written while the stored digest fits.
    """
    target = project_dir / "target"
    manifest, stamp = target / "manifest.json", target / "manifest.digest"
    digest = project_digest(project_dir)
    if manifest.exists() and stamp.exists() and stamp.read_text() == digest:
        return manifest
    command = [
        dbt_executable(),
        "--quiet",
        "--no-send-anonymous-usage-stats",
        "parse",
        "--project-dir",
        str(project_dir),
        "--profiles-dir",
        str(project_dir),
    ]
    finished = subprocess.run(  # noqa: S603 - our own executable and constant arguments
        command,
        cwd=project_dir,
        env={**os.environ, "DO_NOT_TRACK": "1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise ManifestError(f"dbt parse failed:\n{finished.stdout}{finished.stderr}".strip())
    stamp.write_text(digest)
    return manifest
