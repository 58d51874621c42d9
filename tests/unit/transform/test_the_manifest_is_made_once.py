"""The manifest on a busy machine: many processes at once, a kill, a model that cannot be parsed."""

import json
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hotdash_pipelines.transform import manifest as dbt_manifest
from hotdash_pipelines.transform.manifest import ManifestError, prepare_manifest

# Stands for dbt: notes that it ran, writes its manifest in two parts with a pause between, as a large file is written.
_DBT = """\
#!{python}
import json, os, pathlib, sys, time
project = pathlib.Path(sys.argv[sys.argv.index("--project-dir") + 1])
target = pathlib.Path(sys.argv[sys.argv.index("--target-path") + 1])
with (project / "runs").open("a") as runs:
    runs.write("parsed\\n")
model = (project / "models" / "one.sql").read_text()
if "broken" in model:
    print("models/one.sql: syntax error")
    sys.exit(2)
text = json.dumps({{"model": model, "filler": "x" * 100_000}})
with (target / "manifest.json").open("w") as manifest:
    manifest.write(text[:50_000])
    manifest.flush()
    (project / "half").touch()
    time.sleep({pause})
    manifest.write(text[50_000:])
(target / "partial_parse.msgpack").write_bytes(b"")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    for name in ("dbt_project.yml", "profiles.yml"):
        (folder / name).touch()
    (folder / "models" / "one.sql").write_text("select 1")
    return folder


@pytest.fixture(autouse=True)
def dbt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "dbt"
    script.write_text(_DBT.format(python=sys.executable, pause=0.3))
    script.chmod(0o755)
    monkeypatch.setattr(dbt_manifest, "dbt_executable", lambda: str(script))
    return script


def runs(project: Path) -> int:
    return len((project / "runs").read_text().splitlines())


def test_many_at_once_parse_once_and_all_read_a_whole_manifest(project: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: json.loads(prepare_manifest(project).read_text())["model"], range(8)))
    assert read == ["select 1"] * 8
    assert runs(project) == 1


def test_a_reader_of_the_last_manifest_never_sees_half_of_the_next(project: Path) -> None:
    manifest = prepare_manifest(project)
    (project / "half").unlink()
    (project / "models" / "one.sql").write_text("select 2")
    with ThreadPoolExecutor(1) as pool:
        parsing = pool.submit(prepare_manifest, project)
        while not (project / "half").exists():
            assert not parsing.done()
        assert json.loads(manifest.read_text())["model"] == "select 1"
        assert json.loads(parsing.result().read_text())["model"] == "select 2"


def test_a_parse_that_is_killed_leaves_nothing_that_is_taken_for_a_manifest(project: Path, dbt: Path) -> None:
    prepare_manifest(project)
    (project / "models" / "one.sql").write_text("select 2")
    (project / "half").unlink()
    caller = textwrap.dedent(f"""
        from pathlib import Path
        from hotdash_pipelines.transform import manifest
        manifest.dbt_executable = lambda: {str(dbt)!r}
        manifest.prepare_manifest(Path({str(project)!r}))
    """)
    process = subprocess.Popen([sys.executable, "-c", caller])
    while not (project / "half").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads(prepare_manifest(project).read_text())["model"] == "select 2"
    assert runs(project) == 3
    assert sorted(path.name for path in (project / "target").iterdir()) == [
        ".manifest.lock", "manifest.digest", "manifest.json", "partial_parse.msgpack",
    ]  # fmt: skip


def test_a_model_that_cannot_be_parsed_is_told_and_keeps_the_last_manifest(project: Path) -> None:
    manifest = prepare_manifest(project)
    (project / "models" / "one.sql").write_text("broken")
    with pytest.raises(ManifestError, match=r"models/one\.sql: syntax error"):
        prepare_manifest(project)
    assert json.loads(manifest.read_text())["model"] == "select 1"
    (project / "models" / "one.sql").write_text("select 1")
    prepare_manifest(project)
    assert runs(project) == 2


def test_a_folder_that_may_not_be_written_serves_the_manifest_it_holds(project: Path) -> None:
    """As in an image: what fits is given out, and nothing is touched."""
    prepare_manifest(project)
    before = {path: path.stat().st_mtime_ns for path in (project / "target").iterdir()}
    prepare_manifest(project)
    assert {path: path.stat().st_mtime_ns for path in (project / "target").iterdir()} == before
