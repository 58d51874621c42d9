"""What makes a folder a backup, and every way in which it stops to be one."""

import dataclasses
import json
from pathlib import Path

import pytest

from hotdash_pipelines.operations.backup.files import (
    DATA,
    MANIFEST,
    BackupError,
    is_id,
    list_backups,
    manifest_bytes,
    newest,
    parse_manifest,
    path_of,
    read_manifest,
    started,
)
from hotdash_pipelines.operations.backup.verify import verify_quick
from hotdash_pipelines.storage import FolderStore
from tests.backup_copies import FIRST, add_copy

KEY = "a key of the company"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "backups")


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_a_manifest_reads_back_as_it_was_written(store: FolderStore, key: str | None) -> None:
    backup_id = add_copy(store, 3, key=key)
    manifest = read_manifest(store, backup_id, key)
    assert manifest_bytes(manifest, key) == store.read(f"{backup_id}/{MANIFEST}")
    assert (manifest.rows, manifest.bytes, manifest.client_major) == (3, 500, 18)
    assert verify_quick(store, backup_id, key) == manifest
    assert started(backup_id) == manifest.started_at


def test_every_single_flipped_bit_of_a_manifest_is_found(store: FolderStore) -> None:
    backup_id = add_copy(store, 3)
    content = bytearray(store.read(f"{backup_id}/{MANIFEST}"))
    for bit in range(len(content) * 8):
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BackupError):
            parse_manifest(bytes(content), backup_id, None)
        content[bit // 8] ^= 1 << bit % 8
    assert parse_manifest(bytes(content), backup_id, None)


@pytest.mark.parametrize(("forger", "said"), [(None, "not signed"), ("another key", "signed with another key")])
def test_a_change_that_was_signed_anew_is_found_with_the_key_only(
    store: FolderStore, tmp_path: Path, forger: str | None, said: str
) -> None:
    backup_id = add_copy(store, 3, key=KEY)
    forged = dataclasses.replace(read_manifest(store, backup_id, KEY), tables={})
    (tmp_path / "backups" / backup_id / MANIFEST).write_bytes(manifest_bytes(forged, forger))
    assert read_manifest(store, backup_id) == forged
    with pytest.raises(BackupError, match=said):
        read_manifest(store, backup_id, KEY)
    assert [one.state for one in list_backups(store, KEY)] == ["broken"]


def test_a_manifest_in_another_shape_of_the_same_content_is_refused(store: FolderStore, tmp_path: Path) -> None:
    backup_id = add_copy(store, 3)
    file = tmp_path / "backups" / backup_id / MANIFEST
    file.write_text(json.dumps(json.loads(file.read_bytes())))
    with pytest.raises(BackupError, match="digest differs"):
        read_manifest(store, backup_id)


@pytest.mark.parametrize(("name", "said"), [(DATA, "sha256 differs"), (MANIFEST, "is that of")])
def test_files_swapped_between_two_backups_are_found(store: FolderStore, tmp_path: Path, name: str, said: str) -> None:
    first, other = (tmp_path / "backups" / add_copy(store, day) / name for day in (1, 2))
    first.rename(tmp_path / "aside")
    other.rename(first)
    (tmp_path / "aside").rename(other)
    for file in (first, other):
        with pytest.raises(BackupError, match=said):
            verify_quick(store, file.parent.name)


def test_a_whole_backup_under_another_name_is_found(store: FolderStore, tmp_path: Path) -> None:
    folder = tmp_path / "backups" / add_copy(store, 1)
    folder.rename(folder.with_name("20200101T000000Z-00000000"))
    with pytest.raises(BackupError, match="is that of"):
        verify_quick(store, "20200101T000000Z-00000000")


@pytest.mark.parametrize("damage", ["cut", "longer", "missing", "no manifest", "empty manifest"])
def test_a_listing_tells_a_damaged_backup_from_a_good_one(store: FolderStore, tmp_path: Path, damage: str) -> None:
    good, bad = add_copy(store, 1), add_copy(store, 2)
    data, manifest = (tmp_path / "backups" / bad / name for name in (DATA, MANIFEST))
    match damage:
        case "cut":
            data.write_bytes(data.read_bytes()[:-1])
        case "longer":
            data.write_bytes(data.read_bytes() + b"x")
        case "missing":
            data.unlink()
        case "no manifest":
            manifest.unlink()
        case _:
            manifest.write_bytes(b"")
    listed = {one.id: one for one in list_backups(store)}
    assert listed[good].state == "valid"
    assert listed[bad].state == ("unfinished" if damage == "no manifest" else "broken")
    assert listed[bad].manifest is None
    assert newest(store) == good
    with pytest.raises(BackupError):
        verify_quick(store, bad)


def test_a_listing_is_newest_first_and_passes_over_what_is_no_backup(store: FolderStore, tmp_path: Path) -> None:
    ids = [add_copy(store, day) for day in (5, 1, 3)]
    (tmp_path / "backups" / "rollback-20261101-0004").mkdir()
    (tmp_path / "backups" / "notes.txt").write_text("hello")
    assert [one.id for one in list_backups(store)] == sorted(ids, reverse=True)
    assert list_backups(FolderStore(tmp_path / "nowhere")) == []
    with pytest.raises(BackupError, match="holds no valid backup"):
        newest(FolderStore(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../../etc",
        "20261101T020000Z-0000000g",
        "20261101T020000Z-00000001/../x",
        "20261101T020000Z-00000001\n",
    ],
)
def test_a_name_that_is_no_id_never_becomes_a_path(store: FolderStore, name: str) -> None:
    assert not is_id(name)
    with pytest.raises(BackupError, match="no backup's id"):
        path_of(store, name, DATA)
    with pytest.raises(BackupError, match="no backup's id"):
        read_manifest(store, name)


def test_a_link_out_of_the_folder_is_not_followed(store: FolderStore, tmp_path: Path) -> None:
    elsewhere = FolderStore(tmp_path / "elsewhere")
    backup_id = add_copy(elsewhere, 1)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / backup_id).symlink_to(tmp_path / "elsewhere" / backup_id)
    assert list_backups(store) == []
    with pytest.raises(BackupError, match="leads out of the folder"):
        read_manifest(store, backup_id)


def test_only_the_owner_may_read_a_backup(store: FolderStore, tmp_path: Path) -> None:
    folder = tmp_path / "backups" / add_copy(store, 1)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_ids_name_the_instant_in_utc() -> None:
    assert FIRST.isoformat() == "2026-11-01T02:00:00+00:00"
    assert is_id("20261101T020000Z-0123abcd")
