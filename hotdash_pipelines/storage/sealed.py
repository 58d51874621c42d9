"""Manifests that prove themselves: one spelling, a digest of it, and a signature where there is a key.

Belongs here: sealing and opening, digests of files, whether a path stays in its folder. Does not belong here: what a
manifest says, and how its room tells of a damaged one (operations).

The rooms' files differ in what their digest covers, and keep to it: those on disks must be believed for years. Each
room's way is a `Seal`.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.storage.folder import FolderStore, digest_of
from hotdash_pipelines.storage.store import Store

Body = Mapping[str, Any]
T = TypeVar("T")


class DamagedManifest(HotdashError):
    """The bytes are no manifest, or not those that were sealed. The text is the reason: the room names the file."""


class Opened(NamedTuple, Generic[T]):
    """A manifest whose digest is right. `doubt` is why its signature is not believed; None without a key."""

    manifest: T
    signature: str | None
    doubt: str | None


def pretty(body: Body) -> bytes:
    """The JSON of a manifest's file, spelled in one way."""
    return (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()


@dataclass(frozen=True)
class Seal:
    """Where digest and signature stand in the manifests of a room, and over which bytes they are made.

    `signed` are the bytes of a body that are signed, `digested` those of body and signature. With `tells_unsigned` a
    manifest without a signature says so by a null.
    """

    digest: str
    signature: str
    signed: Callable[[Body], bytes]
    digested: Callable[[Body, str | None], bytes]
    tells_unsigned: bool = False

    def sign(self, body: Body, key: str | None) -> str | None:
        """HMAC-SHA256 of the body, in hex; None without a key."""
        return hmac.new(key.encode(), self.signed(body), "sha256").hexdigest() if key else None

    def close(self, body: Body, signature: str | None) -> bytes:
        """The manifest's file."""
        signed = {self.signature: signature} if self.tells_unsigned or signature is not None else {}
        digest = hashlib.sha256(self.digested(body, signature)).hexdigest()
        return pretty({**body, **signed, self.digest: digest})

    def open(self, content: bytes, parse: Callable[[dict[str, Any]], T], key: str | None = None) -> Opened[T]:
        """What `parse` makes of the body of a manifest's file.

        Raises DamagedManifest when a byte differs from what was sealed, or when `parse` can make nothing of it.
        """
        try:
            body = json.loads(content)
            signature = body.pop(self.signature, None)
            body.pop(self.digest, None)
            # Byte for byte, so that nothing in the file can differ from what was sealed.
            if content != self.close(body, signature):
                raise DamagedManifest("its digest differs")
            return Opened(parse(body), signature, self.doubt(body, signature, key))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedManifest("it cannot be read") from error

    def doubt(self, body: Body, signature: str | None, key: str | None) -> str | None:
        """Why the signature is not that of the key, as `the manifest is ...` goes on; None when it is, or no key is."""
        if not key or hmac.compare_digest(str(signature).encode(), str(self.sign(body, key)).encode()):
            return None
        return "signed with another key" if signature else "not signed"


def sha256_of(path: Path) -> str:
    """Digest of a local file, in hex."""
    with path.open("rb") as file:
        return digest_of(file)


def leads_elsewhere(store: Store, path: str) -> bool:
    """Whether a link on the way to the path leads out of it. Buckets have no links."""
    if not isinstance(store, FolderStore):
        return False
    root = Path(store.uri("")).resolve()
    return (root / path).resolve() != root / path
