"""Versions of an export: whole or not there, whatever is killed; every changed bit is found; nothing leads outside."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.cli import app
from hotdash_pipelines.operations.export.files import ExportError, listed, versions
from hotdash_pipelines.operations.export.run import export_training
from hotdash_pipelines.operations.export.verify import verify
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.storage import Store, open_store
from hotdash_pipelines.storage.sealed import sha256_of
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.operations.export import export_people as people

ROOT = Path(__file__).parents[4]
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def url(warehouse_url: str) -> str:
    """A database with three drafts of a known customer."""
    with connect(warehouse_url, autocommit=True) as conn:
        people.raw_tables(conn)
        for number in range(3):
            people.draft(conn, input_text=f"{number}: I am {people.NAME}, {people.EMAIL}.", rubric={"tone": number})
    return warehouse_url


def export(url: str, store: Store, scratch: Path, now: datetime = NOW, **options: Any) -> str:
    return export_training(url, store, now=now, scratch=scratch, pseudonym_key=KEY, **options).manifest.version


def names(folder: Path | str) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("kill_at", ["export.written", "export.added", "export.manifest"])
@pytest.mark.parametrize("waits", [timedelta(0), timedelta(days=2)], ids=["at once", "days later"])
def test_a_kill_leaves_a_whole_version_or_none_and_a_rerun_makes_it(
    url: str, tmp_path: Path, kill_at: str, waits: timedelta
) -> None:
    root, scratch = tmp_path / "exports", tmp_path / "scratch"
    store = open_store(str(root))

    def run(at: datetime, kill: str = "") -> subprocess.CompletedProcess[str]:
        arguments = [url, str(root), str(scratch), "json", at.isoformat()]
        program = [sys.executable, "-m", "tests.integration.operations.export.export_once", *arguments]
        environment = {**os.environ, "HOTDASH_KILL_AT": kill}
        return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert run(NOW, kill_at).returncode == -signal.SIGKILL
    left = list(listed(store))
    assert [one.problem for one in left] == ([None] if kill_at == "export.manifest" else [])
    again = run(NOW + waits)
    assert again.returncode == 0, again.stderr
    (version,) = versions(store)
    assert again.stdout.split() == [version, str(kill_at != "export.manifest")]
    assert verify(store, version, scratch=scratch).problems == ()
    # The data of the killed one is gone or is the version's own; nothing waits in the scratch folder.
    assert store.list("") == [f"{version}/data.json", f"{version}/manifest.json"]
    assert names(scratch) == [".lock"]


@pytest.mark.parametrize("file_format", ["json", "csv", "parquet"])
def test_every_flipped_bit_is_found(url: str, tmp_path: Path, file_format: str) -> None:
    store, scratch = open_store(str(tmp_path / "exports")), tmp_path / "scratch"
    version = export(url, store, scratch, format=file_format)
    dice = random.Random(20261120)
    for name in (f"data.{file_format}", "manifest.json"):
        path = tmp_path / "exports" / version / name
        whole = path.read_bytes()
        for bit in dice.sample(range(8 * len(whole)), 100):
            spoiled = bytearray(whole)
            spoiled[bit // 8] ^= 1 << bit % 8
            path.write_bytes(spoiled)
            assert not verify(store, version, scratch=scratch).is_sound, (name, bit)
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            assert not verify(store, version, scratch=scratch).is_sound, (name, length)
        path.write_bytes(whole)
    assert verify(store, version, scratch=scratch).is_sound


def test_swapped_and_added_files_and_other_signatures_are_found(url: str, tmp_path: Path) -> None:
    root, scratch = tmp_path / "exports", tmp_path / "scratch"
    store = open_store(str(root))
    first = export(url, store, scratch, key="one")
    with connect(url, autocommit=True) as conn:
        people.draft(conn)
    second = export(url, store, scratch, NOW + timedelta(days=7), key="one")

    def problems(version: str, key: str | None = "one") -> str:
        return " ".join(verify(store, version, scratch=scratch, key=key).problems)

    assert problems(first) == problems(second) == problems(first, None) == ""
    assert "not signed with HOTDASH_MANIFEST_KEY" in problems(first, "another")

    def swap(name: str) -> None:
        a, b = root / first / name, root / second / name
        a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
        a.write_bytes(b_bytes)
        b.write_bytes(a_bytes)

    swap("data.json")
    assert "bytes instead of" in problems(first)
    swap("manifest.json")
    assert "that of another version" in problems(first)
    swap("data.json")
    swap("manifest.json")

    # Someone who can write there makes it all fit, but has not the key and cannot rename the content.
    manifest, data = root / second / "manifest.json", root / second / "data.json"
    from hotdash_pipelines.operations.export import files as export_files

    was = export_files.read_manifest(store, second)
    data.write_bytes(data.read_bytes().replace(b"parcel", b"garden"))
    forged = {"data.json": {"bytes": data.stat().st_size, "sha256": sha256_of(data)}}
    import dataclasses

    manifest.write_bytes(dataclasses.replace(was, files=forged).signed(None).encoded())
    assert "not signed" in problems(second)
    assert problems(second, None) == "the version is not named after its content"

    (root / first / "more.json").write_text("x")
    assert "1 files lie beside" in problems(first)
    (root / first / "more.json").unlink()
    (root / first / "data.json").unlink()
    assert "data.json is missing" in problems(first)
    assert [one.problem for one in listed(store)] == ["the file with the rows is missing", None]


def test_a_version_that_holds_something_personal_is_found_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a later redactor knows more: the content is looked through anew, and the text is not told."""
    store, scratch = open_store(str(tmp_path / "exports")), tmp_path / "scratch"
    for file_format in ("json", "csv", "parquet"):
        with monkeypatch.context() as patch:
            patch.setattr("hotdash_pipelines.operations.export.run.Redactor.value", lambda _, value: (value, {}))
            patch.setattr("hotdash_pipelines.operations.export.run.Redactor.rescan", lambda *_: {})
            version = export(url, store, scratch, format=file_format)
        (problem,) = verify(store, version, scratch=scratch).problems
        assert "(email 3) in rows 1, 2, 3" in problem
        assert people.EMAIL not in problem


@contextlib.contextmanager
def commands(home: Path, url: str) -> Iterator[Callable[..., Result]]:
    """The command in this process, on the test's database and home."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"DATABASE_URL": url, "HOME": str(home), "FIXED_NOW": NOW.isoformat()}.items():
            patch.setenv(f"HOTDASH_{name}", value)

        def run(*arguments: str) -> Result:
            get_settings.cache_clear()
            return CliRunner().invoke(app, ["export", *arguments])

        yield run
    get_settings.cache_clear()


def test_the_commands_export_list_verify_and_copy(url: str, tmp_path: Path) -> None:
    home, copies = tmp_path / "home", tmp_path / "copies"
    with commands(home, url) as hotdash:
        assert json.loads(hotdash("list", "--json").stdout) == {"versions": []}
        assert hotdash("verify", "latest").exit_code == 1
        preview = json.loads(hotdash("training", "--dry-run", "--json").stdout)
        assert (preview["dry_run"], preview["is_new"], preview["rows"]) == (True, False, 3)
        assert json.loads(hotdash("list", "--json").stdout) == {"versions": []}
        done = json.loads(hotdash("training", "--json", "--format", "csv", "--output", str(copies)).stdout)
        assert done["version"].startswith("training_data_20261120_150000-")
        assert done["is_new"]
        assert done["redactions"]["email"] == 3
        assert done["copied_to"] == str(copies / done["version"])
        assert names(done["copied_to"]) == ["data.csv", "manifest.json"]
        assert Path(done["location"], "data.csv").read_bytes() == Path(done["copied_to"], "data.csv").read_bytes()
        assert Path(done["copied_to"]).stat().st_mode & 0o777 == 0o700
        assert "nothing new" in hotdash("training", "--format", "csv", "--output", str(copies)).stdout
        assert "exported 3 rows" in hotdash("training").stdout
        assert hotdash("training", "--since", "yesterday").exit_code == 2
        assert "csv              3 rows" in hotdash("list").stdout
        assert hotdash("verify", "--all").exit_code == 0
        assert hotdash("verify", "latest", "--all").exit_code == hotdash("verify").exit_code == 2
        answer = json.loads(hotdash("verify", done["version"], "--json").stdout)
        assert answer["versions"][0]["is_sound"]

        data = home / "exports" / done["version"] / "data.csv"
        data.write_bytes(data.read_bytes()[:-1])
        assert hotdash("verify", "--all").exit_code == 1
        assert "BROKEN" in hotdash("verify", done["version"]).stdout
        assert "damaged" in hotdash("list").stdout
        assert hotdash("list").exit_code == 1
        assert (home / "export.key").stat().st_mode & 0o777 == 0o600


TRAVERSALS = (
    "../exports", "..", ".", "/etc/passwd", "training_data_20261120_150000-0123456789abcdef/..",
    "training_data_20261120_150000-0123456789abcdef/data.json", "training_data_20261120_150000-0123456789ABCDEF",
    "./training_data_20261120_150000-0123456789abcdef", "training_data_20261120_150000-0123456789abcdef\n",
    "..\\x", "", "*", "training_data_２0261120_150000-0123456789abcdef",
)  # fmt: skip


def test_names_and_folders_that_lead_elsewhere_are_refused(url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with commands(home, url) as hotdash:
        version = json.loads(hotdash("training", "--json").stdout)["version"]
        for name in TRAVERSALS:
            refused = hotdash("verify", name)
            assert refused.exit_code == 2, name
        assert hotdash("verify", "training_data_20261120_150000-0123456789abcdef").exit_code == 1

        outside = tmp_path / "outside"
        outside.mkdir()
        (tmp_path / "link").symlink_to(outside)
        (tmp_path / "file").write_text("kept")
        for target in (tmp_path / "a" / ".." / "b", tmp_path / "link", tmp_path / "link" / "b", tmp_path / "file"):
            refused = hotdash("training", "--output", str(target))
            assert refused.exit_code == 3, target
            assert ("leads through .." in refused.stderr) is (".." in target.parts)
        assert names(outside) == []
        copies = tmp_path / "copies"
        copies.mkdir()
        (copies / version).symlink_to(outside)
        assert hotdash("training", "--output", str(copies)).exit_code == 3
        (copies / version).unlink()
        (copies / version).mkdir()
        (copies / version / "data.json").write_text("something else")
        assert hotdash("training", "--output", str(copies)).exit_code == 3
        assert (copies / version / "data.json").read_text() == "something else"
        (copies / version / "data.json").unlink()
        (copies / version / "data.json").symlink_to(outside / "new")
        assert hotdash("training", "--output", str(copies)).exit_code == 3
        assert names(outside) == []

        # Inside the root: a link in the place of a file, and one in the place of a version.
        data = home / "exports" / version / "data.json"
        data.rename(outside / "data.json")
        data.symlink_to(outside / "data.json")
        assert hotdash("verify", version).exit_code == 3
        (home / "exports" / version).rename(outside / version)
        (home / "exports" / version).symlink_to(outside / version)
        assert hotdash("verify", version).exit_code == 1
        refused = hotdash("training")
        assert refused.exit_code == 3
        assert names(outside) == ["data.json", version]


def test_a_refused_export_tells_kinds_and_rows_on_one_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hotdash_pipelines.cli import main

    monkeypatch.setattr("hotdash_pipelines.operations.export.run.Redactor.value", lambda _, value: (value, {}))
    with commands(tmp_path, url):
        get_settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["hotdash", "export", "training", "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert "something personal was still found (email 6, name 3) in rows 1, 2, 3 of" in said.err
    assert said.err.count("\n") == 1
    assert not [secret for secret in people.KNOWN if secret.lower() in said.err.lower()]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A prefix of a bucket on a server that speaks S3 over loopback."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="exports")
    yield open_store("s3://exports/team/a", endpoint, "HOTDASH_EXPORT_URL")
    server.stop()


def test_versions_in_a_bucket_are_like_those_in_a_folder(url: str, tmp_path: Path, bucket: Store) -> None:
    scratch = tmp_path / "scratch"
    version = export(url, bucket, scratch, format="parquet")
    assert export(url, bucket, scratch, NOW + timedelta(days=7), format="parquet") == version
    assert bucket.list("") == [f"{version}/data.parquet", f"{version}/manifest.json"]
    assert [(one.version, one.problem) for one in listed(bucket)] == [(version, None)]
    assert verify(bucket, version, scratch=scratch).is_sound
    folder = open_store(str(tmp_path / "exports"))
    assert export(url, folder, scratch, format="parquet") == version
    assert folder.read(f"{version}/data.parquet") == bucket.read(f"{version}/data.parquet")

    # Killed before its manifest, at the same instant and days before.
    bucket.delete(f"{version}/manifest.json")
    assert list(listed(bucket)) == []
    assert export(url, bucket, scratch, format="parquet") == version
    assert verify(bucket, version, scratch=scratch).is_sound
    bucket.delete(f"{version}/manifest.json")
    later = export(url, bucket, scratch, NOW + timedelta(days=2), format="parquet")
    assert bucket.list("") == [f"{later}/data.parquet", f"{later}/manifest.json"]
    assert later != version

    bucket.write(f"{later}/data.parquet", b"other")
    assert not verify(bucket, later, scratch=scratch).is_sound
    with pytest.raises(ExportError, match="holds other content"):
        export(url, bucket, scratch, NOW + timedelta(days=2), format="parquet")
