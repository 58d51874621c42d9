"""The dbt project, parsed once for a whole test session, xdist workers included.

Belongs here: the folder that `dbt parse` fills. Does not belong here: running dbt (integration/dbt/conftest.py).
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, project_digest


def parsed_project(home: Path) -> Path:
    """Folder with manifest.json and partial_parse.msgpack, made without any variable of ours in the environment."""
    folder = home / f"dbt-{project_digest()[:12]}"
    with (home / "dbt-parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            parsing = home / "dbt-parsing"
            shutil.rmtree(parsing, ignore_errors=True)
            _parse(parsing)
            parsing.rename(folder)
    return folder


def _parse(target: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOTDASH_", "DBT_", "PG"))}
    project = str(DBT_PROJECT_DIR)
    command = [str(Path(sys.executable).parent / "dbt"), "--quiet", "--log-path", str(target), "parse"]
    folders = ["--project-dir", project, "--profiles-dir", project, "--target-path", str(target)]
    finished = subprocess.run(
        [*command, *folders], env={**environment, "DO_NOT_TRACK": "1"}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
