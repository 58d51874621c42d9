"""Where the lake's files are kept: a local folder, or a bucket behind the S3 protocol.

Belongs here: reading, atomic writing, listing and deleting whole files by their path below the root.
Does not belong here: what the files mean (partition.py).
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

_TEMPORARY = ".partial-"
_LOCK = ".lock"


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

    def uri(self, path: str) -> str:
        """Address to show for a file or folder."""
        ...


def open_store(url: str, endpoint_url: str | None = None) -> Store:
    """The store behind `s3://bucket/prefix`, or a folder (`file://` or a plain path). Touches nothing yet."""
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise StoreError(f"{url!r} names no bucket: HOTDASH_LAKE_URL has the form s3://bucket/prefix")
        return S3Store(bucket, prefix.strip("/"), endpoint_url)
    if "://" in url and not url.startswith("file://"):
        raise StoreError(f"HOTDASH_LAKE_URL is neither s3://bucket/prefix nor a folder: {url.split('://')[0]}://")
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

    def uri(self, path: str) -> str:
        """See Store."""
        return str(self._root / path)


@contextlib.contextmanager
def _disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"the lake's disk refused {path}: {error.strerror or type(error).__name__}") from error


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

    def __init__(self, bucket: str, prefix: str, endpoint_url: str | None = None) -> None:
        self._bucket = bucket
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
            raise StoreError(
                f"the bucket refused {self.uri(path)} ({code}): check HOTDASH_LAKE_URL and the AWS credentials"
            ) from error
        except BotoCoreError as error:
            reason = " ".join(str(error).split())
            raise StoreError(
                f"the bucket of {self.uri(path)} cannot be used ({reason}): "
                "check HOTDASH_LAKE_URL and the AWS credentials"
            ) from error
