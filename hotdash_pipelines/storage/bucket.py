"""Files in a bucket behind the S3 protocol.

Belongs here: the store of storage/store.py on boto3, its errors in one line without credentials. Does not belong here:
what the files mean (partition.py).
"""

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from hotdash_pipelines.storage.folder import disk_errors, private_file
from hotdash_pipelines.storage.store import COPIED_AT_ONCE, StoreError

# S3 takes at most 10,000 parts of an object: 640 GB with these.
_PART_BYTES = 64 << 20


class S3Store:
    """Objects below a prefix of a bucket; a write is visible as a whole when it is over.

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

    def put(self, path: str, content: BinaryIO) -> None:
        """See Store. A large file goes in parts of 8 MiB, one after the other, and is there with the last."""
        from boto3.s3.transfer import TransferConfig

        with self._errors(path):
            self._client.upload_fileobj(
                content, self._bucket, self._prefix + path, Config=TransferConfig(use_threads=False)
            )

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
            with disk_errors(path):
                private_file(target)
                with target.open("wb") as file:
                    shutil.copyfileobj(body, file, COPIED_AT_ONCE)

    def chunks(self, path: str) -> Iterator[bytes]:
        """See Store."""
        with self._errors(path):
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"]
            with contextlib.closing(body):
                yield from body.iter_chunks(COPIED_AT_ONCE)

    def size(self, path: str) -> int:
        """See Store."""
        with self._errors(path):
            return self._client.head_object(Bucket=self._bucket, Key=self._prefix + path)["ContentLength"]

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        paths = []
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}/" if prefix else self._prefix
            )
            for page in pages:
                paths += [entry["Key"].removeprefix(self._prefix) for entry in page.get("Contents", ())]
        return sorted(paths)

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
        paths = {upload["Key"].removeprefix(self._prefix) for upload in self._uploads("")}
        with self._errors(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            for page in pages:
                paths |= {entry["Prefix"].removeprefix(self._prefix) for entry in page.get("CommonPrefixes", ())}
        return {path.partition("/")[0] for path in paths if "/" in path}

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
