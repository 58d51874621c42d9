"""Manifests that were sealed before there was one way to seal them are believed, and made again byte for byte.

`sealed_before/` was written by the backups, archives and exports of the time, with and without a key.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.operations.backup.files import manifest_bytes as backup_bytes
from hotdash_pipelines.operations.backup.files import parse_manifest
from hotdash_pipelines.operations.export import files as export_files
from hotdash_pipelines.operations.export.errors import ExportError
from hotdash_pipelines.operations.retention import archive
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.storage.sealed import DamagedManifest, Seal, leads_elsewhere, pretty, sha256_of

BEFORE = Path(__file__).parent / "sealed_before"
KEY = "a key of thirty-two letters, say"
BACKUP = "20261101T020000Z-0000000a"
ARCHIVE = f"agent_feedback/20261101/rows-{'d' * 16}"
EXPORT = f"training_data_20261101_020000-{'e' * 16}"


def of_backup(content: bytes, key: str | None, folder: Path) -> bytes:
    return backup_bytes(parse_manifest(content, BACKUP, key), key)


def of_archive(content: bytes, key: str | None, folder: Path) -> bytes:
    (folder / ARCHIVE).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{ARCHIVE}.json").write_bytes(content)
    return archive.manifest_bytes(archive.open_archive(FolderStore(folder), f"{ARCHIVE}.parquet", key), key)


def of_export(content: bytes, key: str | None, folder: Path) -> bytes:
    (folder / EXPORT).mkdir(exist_ok=True)
    (folder / EXPORT / export_files.MANIFEST).write_bytes(content)
    manifest = export_files.read_manifest(FolderStore(folder), EXPORT)
    if key and not manifest.is_signed_with(key):
        raise ExportError("the manifest is not signed")
    return manifest.signed(key).encoded()


Remade = Callable[[bytes, str | None, Path], bytes]
ROOMS = pytest.mark.parametrize(
    ("room", "remade"), [("backup", of_backup), ("archive", of_archive), ("export", of_export)]
)


@ROOMS
@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_a_manifest_of_before_is_believed_and_made_again_byte_for_byte(
    tmp_path: Path, room: str, remade: Remade, key: str | None
) -> None:
    content = (BEFORE / f"{room}.{'signed' if key else 'unsigned'}.json").read_bytes()
    assert remade(content, key, tmp_path) == content


@ROOMS
def test_another_key_or_none_at_all_is_told_from_the_right_one(tmp_path: Path, room: str, remade: Remade) -> None:
    signed, unsigned = ((BEFORE / f"{room}.{kind}.json").read_bytes() for kind in ("signed", "unsigned"))
    assert remade(signed, None, tmp_path) == unsigned
    for content, key in ((signed, "another key"), (unsigned, KEY)):
        with pytest.raises(HotdashError, match=r"signed with another key|not signed"):
            remade(content, key, tmp_path)


@ROOMS
@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_every_changed_byte_of_a_manifest_is_found(tmp_path: Path, room: str, remade: Remade, key: str | None) -> None:
    """The digest of a backup does not cover its signature: there the key finds what was changed of it."""
    content = (BEFORE / f"{room}.{'signed' if key else 'unsigned'}.json").read_bytes()
    for at in range(0, len(content), 3):
        with pytest.raises(HotdashError, match=r"damaged|signed with another key|not signed"):
            remade(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], key, tmp_path)


SEAL = Seal("digest", "hmac", signed=pretty, digested=lambda body, _: pretty(body))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"a": 1}', b"\xff", b'{"hmac": "\\ud800"}', b"[" * 99_999]
)
def test_bytes_that_are_no_manifest_are_damaged_in_one_line(content: bytes) -> None:
    with pytest.raises(DamagedManifest, match=r"^(it cannot be read|its digest differs)$"):
        SEAL.open(content, dict, KEY)


def test_a_body_that_its_room_cannot_read_is_damaged() -> None:
    with pytest.raises(DamagedManifest, match="cannot be read"):
        SEAL.open(SEAL.close({"a": 1}, None), lambda body: body["rows"])


def test_a_link_on_the_way_leads_elsewhere_and_one_above_the_store_does_not(tmp_path: Path) -> None:
    (tmp_path / "there" / "inside").mkdir(parents=True)
    (tmp_path / "here").symlink_to(tmp_path / "there")
    store = FolderStore(tmp_path / "here")
    assert not leads_elsewhere(store, "inside/file")
    (tmp_path / "there" / "out").symlink_to(tmp_path)
    assert leads_elsewhere(store, "out/file")
    assert leads_elsewhere(store, "../file")


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_of(tmp_path / "file").startswith("ba7816bf8f01cfea")
