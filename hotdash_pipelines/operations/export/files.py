"""Exports as files: immutable versions in a folder or a bucket, each named by its instant and its content.

Belongs here: names, manifests and their signatures, publishing, listing, finding, copying out. Does not belong here:
rows (run.py), formats (formats/), proving a version (verify.py).

A version is a folder `training_data_YYYYMMDD_HHMMSS-<first 16 hex digits of the data's sha256>` with the data file and
`manifest.json`, which is added last: a folder without it is no version. Nothing that was added is ever overwritten.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.export.errors import BadVersionName, ExportError, ExportRefused
from hotdash_pipelines.operations.export.formats import FORMATS
from hotdash_pipelines.storage import Store, StoreError, make_private, told_of_disk
from hotdash_pipelines.storage.sealed import DamagedManifest, Seal, leads_elsewhere, sha256_of

MANIFEST = "manifest.json"
NAME = re.compile(r"training_data_(?P<at>[0-9]{8}_[0-9]{6})-(?P<content>[0-9a-f]{16})")
# A publication takes seconds; what has no manifest after a day was left by a writer that died.
_UNFINISHED_AFTER = timedelta(days=1)


def _signed(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


_SEAL = Seal(
    "checksum",
    "signature",
    signed=_signed,
    digested=lambda body, signature: _signed(body) + str(signature).encode(),
    tells_unsigned=True,
)


@dataclass(frozen=True)
class ExportManifest:
    """What a version says of itself. Instants are ISO 8601 in UTC; `known` counts conversations with known people."""

    version: str
    format: str
    rows: int
    texts: int
    made_at: str
    snapshot_at: str
    filters: Mapping[str, Any]
    columns: Mapping[str, str]
    redactor_version: str
    redactions: Mapping[str, int]
    known: Mapping[str, Any]
    pseudonym_key_id: str
    files: Mapping[str, Mapping[str, Any]]
    signature: str | None = None

    @property
    def data_file(self) -> str:
        """Name of the file with the rows."""
        return FORMATS[self.format].data_file

    @property
    def sha256(self) -> str:
        """Digest of the file with the rows."""
        return self.files[self.data_file]["sha256"]

    def signed(self, key: str | None) -> "ExportManifest":
        """The same manifest with its signature, when there is a key."""
        return replace(self, signature=_SEAL.sign(self._body(), key))

    def encoded(self) -> bytes:
        """The manifest's file."""
        return _SEAL.close(self._body(), self.signature)

    def is_signed_with(self, key: str) -> bool:
        """Whether the signature is that of this key over this content."""
        return _SEAL.doubt(self._body(), self.signature, key) is None

    def _body(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "signature"}

    @property
    def bytes(self) -> int:
        """Size of the file with the rows."""
        return self.files[self.data_file]["bytes"]


@dataclass(frozen=True)
class ListedExport:
    """One version as the listing has it; `manifest` is None when it cannot be read, and `problem` says why."""

    version: str
    location: str
    manifest: ExportManifest | None
    problem: str | None = None


def version_name(made_at: datetime, sha256: str) -> str:
    """`training_data_YYYYMMDD_HHMMSS-<16 hex>` of an instant and the digest of the data."""
    return f"training_data_{made_at.astimezone(UTC):%Y%m%d_%H%M%S}-{sha256[:16]}"


def publish(
    store: Store, manifest: ExportManifest, data: Path, scratch: Path, now: datetime, key: str | None = None
) -> ExportManifest | None:
    """Add the data, then the manifest. Returns the version that has the same content already, and then adds nothing.

    With `key` only a version that is signed with it is the same. What a killed publication of the same version left is
    used; what others left goes after a day. Raises ExportError when the name is taken by other content.
    """
    with store.exclusive(""):
        _remove_unfinished(store, now)
        equal = _equal_version(store, manifest, scratch, key)
        if equal:
            return equal
        contained(store, f"{manifest.version}/{manifest.data_file}")
        _add_whole(store, f"{manifest.version}/{manifest.data_file}", data, manifest.sha256, scratch)
        reach("export.added")
        written = scratch / MANIFEST
        written.write_bytes(manifest.encoded())
        _add_whole(store, f"{manifest.version}/{MANIFEST}", written, sha256_of(written), scratch)
        reach("export.manifest")
    return None


def versions(store: Store) -> list[str]:
    """Names of the finished versions, oldest first."""
    return sorted(name for name in store.folders() if NAME.fullmatch(name) and store.exists(f"{name}/{MANIFEST}"))


def listed(store: Store) -> Iterator[ListedExport]:
    """Every finished version, oldest first, with its manifest. Looks at sizes, not into the data."""
    for name in versions(store):
        manifest, problem = None, None
        try:
            manifest = read_manifest(store, name)
            held = store.size(f"{name}/{manifest.data_file}")
            problem = (
                None if held == manifest.bytes else f"{manifest.data_file} has {held} bytes instead of {manifest.bytes}"
            )
        except FileNotFoundError:
            problem = "the file with the rows is missing"
        except ExportError as error:
            problem = str(error)
        yield ListedExport(name, store.uri(name), manifest, problem)


def find(store: Store, version: str) -> str:
    """The name of a version that is there, by its name or as `latest`.

    Raises BadVersionName for a text that cannot be one, ExportError when there is no such version.
    """
    if version != "latest":
        check_name(version)
    there = versions(store)
    if version == "latest" and there:
        return there[-1]
    if version not in there:
        raise ExportError(
            f"{store.uri('')} has no {'version' if version == 'latest' else version}: "
            "`hotdash export list` shows what is there"
        )
    return version


def check_name(version: str) -> None:
    """Raises BadVersionName for anything but the name of a version: no separators, no dots, nothing around it."""
    if not NAME.fullmatch(version):
        raise BadVersionName("that is no name of an export: take one from `hotdash export list`, or `latest`")


def read_manifest(store: Store, version: str) -> ExportManifest:
    """The manifest of a version. Raises ExportError when it is missing, damaged or another version's."""
    check_name(version)
    contained(store, f"{version}/{MANIFEST}")
    try:
        opened = _SEAL.open(store.read(f"{version}/{MANIFEST}"), _parsed)
    except FileNotFoundError as error:
        raise ExportError(f"{version} has no manifest: it was never finished; export again") from error
    except DamagedManifest as error:
        raise ExportError(f"the manifest of {version} is damaged: delete the version and export again") from error
    manifest = replace(opened.manifest, signature=opened.signature)
    if manifest.version != version:
        raise ExportError(f"the manifest of {version} is that of another version: delete both and export again")
    return manifest


def _parsed(body: dict[str, Any]) -> ExportManifest:
    manifest = ExportManifest(**body)
    described = manifest.files[manifest.data_file]
    is_sound = isinstance(manifest.rows, int) and isinstance(described["bytes"], int)
    if not is_sound or len(described["sha256"]) != 64 or list(manifest.files) != [manifest.data_file]:
        raise ValueError("not the manifest of an export")
    return manifest


def contained(store: Store, path: str) -> None:
    """Raises ExportRefused when a link leads the path out of the folder of exports, or is part of it at all."""
    if leads_elsewhere(store, path):
        raise ExportRefused(
            f"{path.partition('/')[0]} is a link to another place: remove it, exports are plain folders"
        )


def copy_out(store: Store, version: str, target: Path, scratch: Path) -> Path:
    """Copy a version to `<target>/<version>`, manifest last, for the user alone; returns that folder.

    A copy that is there and equal is left. Raises ExportRefused for a target that leads through `..` or a link, or
    where other content lies.
    """
    check_name(version)
    folder = checked_output(target) / version
    manifest = read_manifest(store, version)
    if folder.is_symlink():
        raise ExportRefused(f"{folder} is a link: remove it, or give another folder")
    with told_of_disk(StoreError, f"the disk refused {folder}: {{reason}}"):
        make_private(folder)
        for name in (manifest.data_file, MANIFEST):
            fetched = scratch / f"copy-{name}"
            store.fetch(f"{version}/{name}", fetched)
            if name == manifest.data_file and sha256_of(fetched) != manifest.sha256:
                raise ExportError(
                    f"the data of {version} is not what its manifest says: run `hotdash export verify {version}`"
                )
            _place(fetched, folder / name)
    return folder


def checked_output(target: Path) -> Path:
    """The absolute folder for copies. Raises ExportRefused when it leads through `..` or a link, or is a file."""
    if ".." in target.parts:
        raise ExportRefused("--output leads through ..: name the folder itself")
    absolute = target.absolute()
    if absolute.resolve() != absolute:
        raise ExportRefused("--output leads through a link: name the folder itself")
    if absolute.exists() and not absolute.is_dir():
        raise ExportRefused("--output is a file: name a folder")
    return absolute


def _place(fetched: Path, path: Path) -> None:
    if path.is_symlink() or (path.exists() and sha256_of(path) != sha256_of(fetched)):
        raise ExportRefused(f"{path} holds something else: nothing is overwritten, give another folder")
    if not path.exists():
        # Beside its place first: the rename is then whole or not at all.
        temporary = path.with_name(f".partial-{path.name}")
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            temporary.chmod(0o600)
            file.write(b"")
        with fetched.open("rb") as source, temporary.open("wb") as file:
            while chunk := source.read(1 << 20):
                file.write(chunk)
        temporary.rename(path)


def _remove_unfinished(store: Store, now: datetime) -> None:
    finished = set(versions(store))
    for name in sorted(store.folders() - finished):
        match = NAME.fullmatch(name)
        # A name whose instant is none is nobody's version.
        with suppress(ValueError):
            if match and datetime.strptime(f"{match['at']}+0000", "%Y%m%d_%H%M%S%z") < now - _UNFINISHED_AFTER:
                store.clear(name)


def _equal_version(store: Store, manifest: ExportManifest, scratch: Path, key: str | None) -> ExportManifest | None:
    """The newest whole version with the same data, signed with the key if there is one."""
    for name in reversed(versions(store)):
        if not name.endswith(f"-{manifest.sha256[:16]}"):
            continue
        try:
            published = read_manifest(store, name)
        except ExportError:
            continue
        path = f"{name}/{published.data_file}"
        if (
            published.sha256 == manifest.sha256
            and published.format == manifest.format
            and (key is None or published.is_signed_with(key))
            and _holds(store, path, published.sha256, scratch)
        ):
            return published
    return None


def _add_whole(store: Store, path: str, source: Path, sha256: str, scratch: Path) -> None:
    try:
        store.add(path, source)
    except FileExistsError as error:
        # A publication of the same version was killed in between; added files are whole.
        if not _holds(store, path, sha256, scratch):
            raise ExportError(
                f"{store.uri(path)} holds other content: run again in a second, the name will differ"
            ) from error


def _holds(store: Store, path: str, sha256: str, scratch: Path) -> bool:
    fetched = scratch / "fetched"
    fetched.unlink(missing_ok=True)
    try:
        contained(store, path)
        store.fetch(path, fetched)
        return sha256_of(fetched) == sha256
    except (FileNotFoundError, ExportRefused):
        return False
    finally:
        fetched.unlink(missing_ok=True)
