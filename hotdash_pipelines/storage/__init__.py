"""Files in a folder or a bucket, whoever they belong to.

Belongs here: stores, scratch folders. Does not belong here: what the files mean (lake, operations).
"""

from hotdash_pipelines.storage.folder import (
    FolderStore,
    digest_of,
    disk_errors,
    make_private,
    private_file,
    told_of_disk,
)
from hotdash_pipelines.storage.open import open_store
from hotdash_pipelines.storage.spool import Spool, Workspace
from hotdash_pipelines.storage.store import COPIED_AT_ONCE, Store, StoreError

__all__ = [
    "COPIED_AT_ONCE",
    "FolderStore",
    "Spool",
    "Store",
    "StoreError",
    "Workspace",
    "digest_of",
    "disk_errors",
    "make_private",
    "open_store",
    "private_file",
    "told_of_disk",
]
