"""Files that are added once and never overwritten: dumps, archives and exports in a folder."""

import os
import stat
from pathlib import Path

import pytest

from hotdash_pipelines.storage import FolderStore, StoreError
from hotdash_pipelines.storage.scratch import scratch_folder


def source_with(tmp_path: Path, data: bytes) -> Path:
    source = tmp_path / "source"
    source.write_bytes(data)
    return source


def test_an_added_file_comes_back_as_it_was(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "root")
    data = bytes(range(256)) * 9000
    store.add("a/b", source_with(tmp_path, data))
    store.fetch("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert store.size("a/b") == len(data)
    assert store.list("") == ["a/b"]


def test_a_taken_path_is_refused_and_keeps_what_it_holds(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "root")
    store.add("a", source_with(tmp_path, b"first"))
    with pytest.raises(FileExistsError):
        store.add("a", source_with(tmp_path, b"second"))
    assert store.read("a") == b"first"
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["a"]


def test_only_the_owner_may_read_what_was_added_or_fetched(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "root")
    store.add("sub/a", source_with(tmp_path, b"x"))
    store.fetch("sub/a", tmp_path / "back")
    for path, mode in {
        tmp_path / "root": 0o700,
        tmp_path / "root/sub": 0o700,
        tmp_path / "root/sub/a": 0o600,
        tmp_path / "back": 0o600,
    }.items():
        assert stat.S_IMODE(path.stat().st_mode) == mode, path


def test_only_the_owner_may_enter_a_folder_for_unfinished_work(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "scratch", "backup") as folder:
        for path in (folder, folder.parent):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_every_folder_above_an_added_file_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut takes a folder that was new, and with it rows that are deleted already."""
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr("hotdash_pipelines.storage.folder.os.fsync", fsync)
    FolderStore(tmp_path / "root").add("table/day/a", source_with(tmp_path, b"x"))
    for folder in (tmp_path, tmp_path / "root", tmp_path / "root/table", tmp_path / "root/table/day"):
        assert str(folder) in synced, folder
    synced.clear()
    # Another writer has made the folders a moment ago: it may not have come to bring them to the disk.
    FolderStore(tmp_path / "root").add("table/day/b", source_with(tmp_path, b"y"))
    assert {str(tmp_path / "root"), str(tmp_path / "root/table"), str(tmp_path / "root/table/day")} <= set(synced)


def test_a_full_disk_leaves_no_part_of_an_added_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hotdash_pipelines.storage.folder.os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        FolderStore(tmp_path / "root").add("a", source_with(tmp_path, b"x"))
    assert list((tmp_path / "root").iterdir()) == []


def test_a_file_that_is_not_there_is_not_fetched(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "root")
    with pytest.raises(FileNotFoundError):
        store.size("a")
    with pytest.raises(FileNotFoundError):
        store.fetch("a", tmp_path / "back")
    assert not (tmp_path / "back").exists()
