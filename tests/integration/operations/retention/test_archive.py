"""An archive that is not what it was is found out, whatever was done to it."""

import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.operations.retention import archive
from hotdash_pipelines.operations.retention.archive import ArchiveError
from hotdash_pipelines.operations.retention.archive_audit import look
from hotdash_pipelines.storage import open_store
from tests.integration.operations.retention.retention_rows import archived, many, retain, store_in, texts

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=200)
KEY = "a key of thirty-two letters, say"
PLACES = 100


@pytest.fixture
def two(warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path) -> list[str]:
    """Paths of two archives of one run, in the folder `archive`."""
    many(warehouse, "agent_feedback", 40, OLD)
    retain(warehouse_url, tmp_path, "agent_feedback", NOW, chunk_rows=20, whole_rows=20, key=KEY)
    return archive.list_archives(store_in(tmp_path))


@pytest.mark.parametrize("instant", ["infinity", "-infinity"])
def test_an_infinite_instant_is_refused_since_an_archive_cannot_tell_it(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path, instant: str
) -> None:
    times = {"created_at": instant, "updated_at": OLD} if instant[0] == "-" else {"updated_at": instant}
    many(warehouse, "agent_feedback", 1, **{"created_at": OLD, **times})
    before = texts(warehouse, "agent_feedback")
    with pytest.raises(ArchiveError, match="infinite"):
        retain(warehouse_url, tmp_path, "agent_feedback", NOW)
    assert texts(warehouse, "agent_feedback") == before


def _states(conn: "psycopg.Connection[Any]", folder: Path) -> list[str]:
    return [found.state for found in look(conn, store_in(folder), scratch=folder / "s", key=KEY)]


@pytest.mark.parametrize("suffix", [archive.DATA, archive.MANIFEST])
@pytest.mark.parametrize("has_record", [True, False], ids=["with its record", "without a record"])
def test_one_flipped_bit_is_found_anywhere(
    warehouse: "psycopg.Connection[Any]", tmp_path: Path, two: list[str], suffix: str, has_record: bool
) -> None:
    if not has_record:
        warehouse.execute("truncate ops.retention_runs")
    untouched = "kept" if has_record else "left over"
    assert _states(warehouse, tmp_path) == [untouched] * 2
    file = tmp_path / "archive" / two[0].replace(archive.DATA, suffix)
    whole = file.read_bytes()
    places = random.Random(20240229).sample(range(len(whole) * 8), PLACES)
    for place in places:
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << place % 8
        file.write_bytes(broken)
        with pytest.raises(ArchiveError):
            archive.verify(store_in(tmp_path), two[0], tmp_path, KEY)
    assert _states(warehouse, tmp_path) == ["damaged", untouched]
    file.write_bytes(whole)
    assert _states(warehouse, tmp_path) == [untouched] * 2


def test_the_digest_of_an_unsigned_manifest_covers_all_of_it(tmp_path: Path, two: list[str]) -> None:
    """Also where nobody has the key, a signature that was changed shows."""
    archive.verify(store_in(tmp_path), two[0], tmp_path)
    file = tmp_path / "archive" / two[0].replace(archive.DATA, archive.MANIFEST)
    whole = file.read_bytes()
    for place in random.Random(7).sample(range(len(whole) * 8), PLACES):
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << place % 8
        file.write_bytes(broken)
        with pytest.raises(ArchiveError, match="damaged"):
            archive.verify(store_in(tmp_path), two[0], tmp_path)


def test_a_manifest_without_the_right_signature_is_not_believed(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path, two: list[str]
) -> None:
    with pytest.raises(ArchiveError, match="signed with another key"):
        archive.verify(store_in(tmp_path), two[0], tmp_path, "another key")
    many(warehouse, "agent_approvals", 2, OLD)
    retain(warehouse_url, tmp_path, "agent_approvals", NOW)
    unsigned = archive.list_archives(store_in(tmp_path), "agent_approvals")[0]
    with pytest.raises(ArchiveError, match="not signed"):
        archive.verify(store_in(tmp_path), unsigned, tmp_path, KEY)


def _cut(first: Path, second: Path) -> None:
    first.write_bytes(first.read_bytes()[:-1])


def _emptied(first: Path, second: Path) -> None:
    first.write_bytes(b"")


def _grown(first: Path, second: Path) -> None:
    first.write_bytes(first.read_bytes() + b"\0")


def _swapped(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def _swapped_with_manifests(first: Path, second: Path) -> None:
    _swapped(first, second)
    _swapped(first.with_suffix(archive.MANIFEST), second.with_suffix(archive.MANIFEST))


def _lost(first: Path, second: Path) -> None:
    first.unlink()
    first.with_suffix(archive.MANIFEST).unlink()


def _without_manifest(first: Path, second: Path) -> None:
    first.with_suffix(archive.MANIFEST).unlink()


def _without_rows(first: Path, second: Path) -> None:
    first.unlink()


def _copied(first: Path, second: Path) -> None:
    for suffix in (archive.DATA, archive.MANIFEST):
        copy = first.with_name(f"{first.stem}-2{suffix}")
        shutil.copy(first.with_suffix(suffix), copy)


def _stranger(first: Path, second: Path) -> None:
    first.with_name("notes.txt").write_text("?")


@pytest.mark.parametrize(
    "change, expected",
    [
        (_cut, ["damaged", "kept"]),
        (_emptied, ["damaged", "kept"]),
        (_grown, ["damaged", "kept"]),
        (_swapped, ["damaged", "damaged"]),
        (_swapped_with_manifests, ["damaged", "damaged"]),
        (_lost, ["kept", "missing"]),
        (_without_manifest, ["damaged", "kept"]),
        (_without_rows, ["kept", "missing", "unknown"]),
        (_copied, ["damaged", "kept", "kept"]),
        (_stranger, ["kept", "kept", "unknown"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_files_that_are_not_where_and_what_they_were_are_found(
    warehouse: "psycopg.Connection[Any]",
    tmp_path: Path,
    two: list[str],
    change: Callable[[Path, Path], None],
    expected: list[str],
) -> None:
    change(*(tmp_path / "archive" / path for path in two))
    archives = look(warehouse, store_in(tmp_path), scratch=tmp_path / "s", key=KEY)
    assert sorted(one.state for one in archives) == expected
    assert all(one.problem for one in archives if one.state != "kept")


def test_a_swap_is_found_without_reading_the_rows(
    warehouse: "psycopg.Connection[Any]", tmp_path: Path, two: list[str]
) -> None:
    _swapped_with_manifests(*(tmp_path / "archive" / path for path in two))
    archives = look(warehouse, store_in(tmp_path), scratch=tmp_path / "s", key=KEY, decode=False)
    assert [one.state for one in archives] == ["damaged", "damaged"]


def test_archives_go_to_a_bucket_as_to_a_folder(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="kept")
        store = open_store("s3://kept/here", endpoint, "HOTDASH_ARCHIVE_URL")
        many(warehouse, "agent_feedback", 3, OLD)
        before = texts(warehouse, "agent_feedback")
        outcome = retain(warehouse_url, tmp_path, "agent_feedback", NOW, store=store)
        assert outcome.parts[0].uri.startswith("s3://kept/here/agent_feedback/")
        assert {number: [text] for number, text in before.items()} == archived(
            warehouse, store, tmp_path, "agent_feedback"
        )
        assert [found.state for found in look(warehouse, store, scratch=tmp_path / "s")] == ["kept"]
        (path,) = archive.list_archives(store)
        data = bytearray(store.read(path))
        data[100] ^= 8
        client.put_object(Bucket="kept", Key=f"here/{path}", Body=bytes(data))
        assert [found.state for found in look(warehouse, store, scratch=tmp_path / "s")] == ["damaged"]
    finally:
        server.stop()
