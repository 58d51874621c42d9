"""The probe answers when everything else is away, and loads nothing of Dagster."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hotdash_pipelines.local.children import free_port

_PROBE = """
import sys
from hotdash_pipelines.cli import app
try:
    app(["sla", "probe", "--json"])
except SystemExit as ended:
    print(ended.code, [name for name in sys.modules if name.startswith(("dagster", "pandas", "dbt"))], file=sys.stderr)
"""


def test_a_warehouse_that_is_away_is_a_failure_told_without_dagster(tmp_path: Path) -> None:
    for url in (f"postgresql://hotdash:secret@127.0.0.1:{free_port()}/hotdash", ""):
        environment = {**os.environ, "HOTDASH_HOME": str(tmp_path / "home"), "HOTDASH_DATABASE_URL": url}
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr.strip() == "1 []"
        found = json.loads(done.stdout)
        assert (found["ok"], found["loops"]) == (False, [])
        assert "does not run" in found["reason"] or "cannot be reached" in found["reason"]
        assert "secret" not in done.stdout
    assert not (tmp_path / "home").exists()
