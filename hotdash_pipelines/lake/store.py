"""Where files are kept: a local folder, or a bucket behind the S3 protocol. The lake, backups, archives, exports.

Belongs here: reading, atomic writing, adding what is never overwritten, listing and deleting whole files by their path
below the root.
Does not belong here: what the files mean (partition.py).
"""

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

_TEMPORARY = ".partial-"
_LOCK = ".lock"
_COPIED_AT_ONCE = 1 << 20
# S3 takes at most 10,000 parts of an object: 640 GB with these.
_PART_BYTES = 64 << 20


class StoreError(RuntimeError):
    """The store cannot be read or written. The message is one line without credentials."""


class Store(Protocol):
    """Files by path (`/` between parts, relative to the root). Every method raises StoreError when the store fails."""

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError when it is not there."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or replace the file: readers see the old content or the new, never a part."""
        ...

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        ...

    def add(self, path: str, source: Path) -> None:
        """Copy a finished local file to a path that nothing has yet, of any size; the source stays.

        Raises FileExistsError when the path is taken, whatever it holds: what was added is never overwritten.
        """
        ...

    def fetch(self, path: str, target: Path) -> None:
        """Copy the file to the new local file `target`, of any size. Raises FileNotFoundError when it is not there."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """The file in pieces of at most a megabyte, of any size. Raises FileNotFoundError when it is not there."""
        ...

    def size(self, path: str) -> int:
        """Bytes of the file. Raises FileNotFoundError when it is not there."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Paths of the finished files below the folder `prefix`, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Remove the file; nothing happens when it is not there."""
        ...

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left in the folder `prefix`. Only inside `exclusive`."""
        ...

    def exclusive(self, prefix: str) -> AbstractContextManager[None]:
        """One writer of the folder `prefix` at a time, on one machine. A bucket has no such lock."""
        ...

    def folders(self) -> set[str]:
        """Names of the folders right below the root; those that hold unfinished files only are among them."""
        ...

    def clear(self, folder: str) -> None:
        """Remove a folder with everything in it, unfinished files included; nothing happens when it is not there."""
        ...

    def uri(self, path: str) -> str:
        """Address to show for a file or folder."""
        ...


def open_store(url: str, endpoint_url: str | None = None, setting: str = "HOTDASH_LAKE_URL") -> Store:
    """The store behind `s3://bucket/prefix`, or a folder (`file://` or a plain path). Touches nothing yet.

    `setting` is the variable that errors name.
    """
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise StoreError(f"{url!r} names no bucket: {setting} has the form s3://bucket/prefix")
        return S3Store(bucket, prefix.strip("/"), endpoint_url, setting)
    if "://" in url and not url.startswith("file://"):
        raise StoreError(f"{setting} is neither s3://bucket/prefix nor a folder: {url.split('://')[0]}://")
    return FolderStore(Path(url.removeprefix("file://")).absolute())


class FolderStore:
    """Files below a local folder. A write is a temporary file, fsync, rename, fsync of the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """See Store."""
        with _disk_errors(path):
            return (self._root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """See Store."""
        target = self._root / path
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        with _disk_errors(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)

    def exists(self, path: str) -> bool:
        """See Store."""
        return (self._root / path).is_file()

    def add(self, path: str, source: Path) -> None:
        """See Store. What it writes only the owner may read: these files are dumps, archives and exports."""
        target = self._root / path
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        with _disk_errors(path):
            make_private(target.parent)
            try:
                with source.open("rb") as data, temporary.open("xb") as file:
                    temporary.chmod(0o600)
                    shutil.copyfileobj(data, file, _COPIED_AT_ONCE)
                    file.flush()
                    os.fsync(file.fileno())
                # A link, unlike a rename, refuses a name that is taken.
                target.hardlink_to(temporary)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(target.parent)

    def fetch(self, path: str, target: Path) -> None:
        """See Store."""
        with _disk_errors(path), (self._root / path).open("rb") as data:
            _private_file(target)
            with target.open("wb") as file:
                shutil.copyfileobj(data, file, _COPIED_AT_ONCE)

    def chunks(self, path: str) -> Iterator[bytes]:
        """See Store."""
        with _disk_errors(path), (self._root / path).open("rb") as data:
            yield from iter(lambda: data.read(_COPIED_AT_ONCE), b"")

    def size(self, path: str) -> int:
        """See Store."""
        with _disk_errors(path):
            return (self._root / path).stat().st_size

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        found = []
        with _disk_errors(prefix):
            for folder, _, names in os.walk(self._root / prefix):
                kept = (name for name in names if name != _LOCK and not name.startswith(_TEMPORARY))
                found += [Path(folder, name).relative_to(self._root).as_posix() for name in kept]
        return sorted(found)

    def delete(self, path: str) -> None:
        """See Store."""
        with _disk_errors(path):
            (self._root / path).unlink(missing_ok=True)

    def sweep(self, prefix: str) -> None:
        """See Store."""
        with _disk_errors(prefix):
            for left in (self._root / prefix).glob(f"{_TEMPORARY}*"):
                left.unlink(missing_ok=True)

    @contextlib.contextmanager
    def exclusive(self, prefix: str) -> Iterator[None]:
        """See Store."""
        folder = self._root / prefix
        with _disk_errors(prefix):
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def folders(self) -> set[str]:
        """See Store. A link is no folder: it may lead anywhere."""
        with _disk_errors(str(self._root)):
            try:
                with os.scandir(self._root) as found:
                    return {entry.name for entry in found if entry.is_dir(follow_symlinks=False)}
            except FileNotFoundError:
                return set()

    def clear(self, folder: str) -> None:
        """See Store."""
        with _disk_errors(folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)
            _sync_folder(self._root)

    def uri(self, path: str) -> str:
        """See Store."""
        return str(self._root / path)


@contextlib.contextmanager
def _disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise StoreError(f"the disk refused {path}: {error.strerror or type(error).__name__}") from error


def make_private(folder: Path) -> None:
    """Create a folder and the missing ones above it, for its owner alone. Folders that exist stay as they are."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)


def _private_file(path: Path) -> None:
    """Create an empty file that only its owner may read. Raises FileExistsError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class S3Store:
    """Objects below a prefix of a bucket; a write is one PUT, which S3 makes visible as a whole.

    Credentials come from where boto3 looks for them (environment, profile, role). Runs that write the same partition
    at the same time are kept apart by the pools of the orchestrator, not here.
    """

    def __init__(
        self, bucket: str, prefix: str, endpoint_url: str | None = None, setting: str = "HOTDASH_LAKE_URL"
    ) -> None:
        self._bucket = bucket
        self._setting = setting
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint_url = endpoint_url
        self._opened: Any = None

    @property
    def _client(self) -> Any:
        if self._opened is None:
            import boto3
            from botocore.config import Config

            options: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 4}, "connect_timeout": 10}
            if self._endpoint_url:
                # Servers other than AWS know neither bucket host names nor always the newer checksums.
                options |= {"s3": {"addressing_style": "path"}, "request_checksum_calculation": "when_required"}
            self._opened = boto3.client("s3", endpoint_url=self._endpoint_url, config=Config(**options))
        return self._opened

    def read(self, path: str) -> bytes:
        """See Store."""
        with self._errors(path):
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"].read()

    def write(self, path: str, data: bytes) -> None:
        """See Store."""
        with self._errors(path):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + path, Body=data)

    def exists(self, path: str) -> bool:
        """See Store."""
        try:
            with self._errors(path):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + path)
        except FileNotFoundError:
            return False
        return True

    def add(self, path: str, source: Path) -> None:
        """See Store. The bucket refuses a taken key itself (If-None-Match), also at the end of a part-wise upload."""
        key = self._prefix + path
        if self.exists(path):
            raise FileExistsError(self.uri(path))
        with self._errors(path), source.open("rb") as data:
            if source.stat().st_size <= _PART_BYTES:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*")
            else:
                self._add_in_parts(key, data)

    def _add_in_parts(self, key: str, data: BinaryIO) -> None:
        upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        try:
            parts = []
            for number, part in enumerate(iter(lambda: data.read(_PART_BYTES), b""), start=1):
                done = self._client.upload_part(
                    Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
                )
                parts.append({"PartNumber": number, "ETag": done["ETag"]})
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
            raise

    def fetch(self, path: str, target: Path) -> None:
        """See Store."""
        with self._errors(path):
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"]
            with _disk_errors(path):
                _private_file(target)
                with target.open("wb") as file:
                    shutil.copyfileobj(body, file, _COPIED_AT_ONCE)

    def chunks(self, path: str) -> Iterator[bytes]:
        """See Store."""
        with self._errors(path):
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"]
            with contextlib.closing(body):
                yield from body.iter_chunks(_COPIED_AT_ONCE)

    def size(self, path: str) -> int:
        """See Store."""
        with self._errors(path):
            return self._client.head_object(Bucket=self._bucket, Key=self._prefix + path)["ContentLength"]

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        found = []
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}/" if prefix else self._prefix
            )
            for page in pages:
                found += [entry["Key"].removeprefix(self._prefix) for entry in page.get("Contents", ())]
        return sorted(found)

    def delete(self, path: str) -> None:
        """See Store."""
        with self._errors(path):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + path)

    def sweep(self, prefix: str) -> None:
        """See Store: an unfinished PUT leaves nothing."""

    def exclusive(self, prefix: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's
        """See Store."""
        return contextlib.nullcontext()

    def folders(self) -> set[str]:
        """See Store. Part-wise uploads that nobody finished count too: their parts are kept, and paid for."""
        found = {upload["Key"].removeprefix(self._prefix) for upload in self._uploads("")}
        with self._errors(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            for page in pages:
                found |= {entry["Prefix"].removeprefix(self._prefix) for entry in page.get("CommonPrefixes", ())}
        return {path.partition("/")[0] for path in found if "/" in path}

    def clear(self, folder: str) -> None:
        """See Store."""
        for path in self.list(folder):
            self.delete(path)
        for upload in self._uploads(folder):
            with self._errors(folder), contextlib.suppress(FileNotFoundError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def _uploads(self, folder: str) -> Iterator[dict[str, str]]:
        prefix = f"{self._prefix}{folder}/" if folder else self._prefix
        with self._errors(folder):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                yield from page.get("Uploads", ())

    def uri(self, path: str) -> str:
        """See Store."""
        return f"s3://{self._bucket}/{self._prefix}{path}"

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            if code in ("NoSuchKey", "404"):
                raise FileNotFoundError(self.uri(path)) from error
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                raise FileExistsError(self.uri(path)) from error
            raise StoreError(
                f"the bucket refused {self.uri(path)} ({code}): check {self._setting} and the AWS credentials"
            ) from error
        except BotoCoreError as error:
            reason = " ".join(str(error).split())
            raise StoreError(
                f"the bucket of {self.uri(path)} cannot be used ({reason}): "
                f"check {self._setting} and the AWS credentials"
            ) from error
