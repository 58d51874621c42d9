"""Which store an address names.

Belongs here: reading the address. Does not belong here: which address is set (services/stores.py).
"""

from pathlib import Path

from hotdash_pipelines.storage.folder import FolderStore
from hotdash_pipelines.storage.store import Store, StoreError


def open_store(url: str, endpoint_url: str | None = None, setting: str = "HOTDASH_LAKE_URL") -> Store:
    """The store behind `s3://bucket/prefix`, or a folder (`file://` or a plain path). Touches nothing yet.

    `setting` is the variable that errors name.
    """
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise StoreError(f"{url!r} names no bucket: {setting} has the form s3://bucket/prefix")
        from hotdash_pipelines.storage.bucket import S3Store

        return S3Store(bucket, prefix.strip("/"), endpoint_url, setting)
    if "://" in url and not url.startswith("file://"):
        raise StoreError(f"{setting} is neither s3://bucket/prefix nor a folder: {url.split('://')[0]}://")
    return FolderStore(Path(url.removeprefix("file://")).absolute())
