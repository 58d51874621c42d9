"""The folder store: whole files or none."""

import errno
import os
import stat
from pathlib import Path

import pytest

from hotdash_pipelines.storage import FolderStore, StoreError, open_store
from hotdash_pipelines.storage.bucket import S3Store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


def test_what_was_written_is_read_back_listed_and_deleted(store: FolderStore) -> None:
    store.write("a/b/one", b"1")
    store.write("a/two", b"2")
    store.write("a/two", b"22")
    assert store.read("a/two") == b"22"
    assert store.exists("a/b/one")
    assert not store.exists("a/b")
    assert store.list("a") == ["a/b/one", "a/two"]
    assert store.list("nowhere") == []
    store.delete("a/two")
    store.delete("a/two")
    assert store.list("") == ["a/b/one"]
    with pytest.raises(FileNotFoundError):
        store.read("a/two")


def test_only_the_owner_may_read_what_was_written(store: FolderStore, tmp_path: Path) -> None:
    store.write("a/file", b"x")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "lake").rglob("*")}
    assert modes == {"a": 0o700, "file": 0o600}


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_full_disk_leaves_the_old_file_and_no_remains(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.write("a/file", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = (os, "fsync") if step == "fsync" else (Path, "rename")
    with monkeypatch.context() as patched:
        patched.setattr(*target, full)
        with pytest.raises(StoreError, match="the disk refused a/file: No space left on device"):
            store.write("a/file", b"new")
    assert store.read("a/file") == b"old"
    assert [path.name for path in (tmp_path / "lake" / "a").iterdir()] == ["file"]


def test_a_write_is_flushed_before_it_gets_its_name(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("another", b"makes the folder")
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(Path, "rename", lambda self, to: (steps.append("rename"), rename(self, to))[1])
    store.write("file", b"content")
    assert steps == ["fsync", "rename", "fsync"]


def test_what_a_killed_writer_left_is_hidden_and_swept(store: FolderStore, tmp_path: Path) -> None:
    store.write("a/file", b"x")
    (tmp_path / "lake" / "a" / ".partial-123").write_bytes(b"half")
    assert store.list("a") == ["a/file"]
    store.sweep("a")
    assert [path.name for path in (tmp_path / "lake" / "a").iterdir()] == ["file"]


def test_writers_of_one_folder_wait_for_each_other(store: FolderStore) -> None:
    import threading

    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with store.exclusive("a"):
            order.append("second")

    with store.exclusive("a"):
        other = threading.Thread(target=second)
        other.start()
        entered.wait()
        other.join(0.2)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert store.list("a") == []


def test_the_address_decides_the_store(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), FolderStore)
    assert open_store(f"file://{tmp_path}").uri("x") == str(tmp_path / "x")
    s3 = open_store("s3://bucket/some/prefix/")
    assert isinstance(s3, S3Store)
    assert s3.uri("x") == "s3://bucket/some/prefix/x"
    assert open_store("s3://bucket").uri("x") == "s3://bucket/x"


@pytest.mark.parametrize("url", ["s3://", "gs://bucket/x", "https://user:secret@host/x"])
def test_an_address_that_is_none_is_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(StoreError, match="HOTDASH_LAKE_URL") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_opening_a_bucket_imports_no_boto3() -> None:
    import subprocess
    import sys

    script = (
        "import sys; from hotdash_pipelines.lake import partition; "
        "from hotdash_pipelines.storage import open_store;"
        "open_store('s3://bucket/x'); print(*{'boto3', 'pyarrow', 'pandas'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert finished.stdout.split() == []
