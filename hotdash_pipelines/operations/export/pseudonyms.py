"""Pseudonyms for the conversations of an export, and the key behind them.

Belongs here: the key's file, the pseudonym of a conversation, finding conversations named in texts and JSON. Does not
belong here: names, addresses and numbers of people (redaction/redactor.py).
"""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import uuid
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export.errors import ExportError

_SHORTEST_KEY = 16
# Letters only: a run of digits could be taken for a telephone number by whoever looks for one.
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_BETWEEN = r"(?:[\s#:=/_-]|id|no\.?|nr\.?|number){0,6}"
_NAMED = re.compile(
    rf"\b(?P<before>(?:conversations?|conv|tickets?|chat)(?P<between>{_BETWEEN}))(?P<number>\d{{1,18}})\b",
    re.IGNORECASE,
)
# "Conversation 3 days ago" names none: a short number that is not the conversation's own needs more than a blank.
_SURE = re.compile(r"[^\s]")
_LONG_NUMBER = 4
_KEYS = frozenset({"conversation", "conversationid", "conversationnumber", "chatwootconversationid", "displayid"})
# Shorter names that are no numbers (a, test) are words of the language.
_SHORTEST_NAME = 6


def pseudonym_key(home: Path, given: str | None) -> bytes:
    """The key of the pseudonyms: `given` (HOTDASH_EXPORT_KEY), else the random one in `<home>/export.key`, made once.

    Raises ExportError for a key that is too short to keep anything secret, or that others can read.
    """
    if given is not None:
        return _long_enough(given.encode(), "HOTDASH_EXPORT_KEY")
    path = home / "export.key"
    if not path.exists():
        _create(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ExportError(f"others than its owner can read {path}: run `chmod 600 {path}`")
    return _long_enough(path.read_bytes().strip(), str(path))


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # Whoever comes first has made the key of both.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)


def _long_enough(key: bytes, where: str) -> bytes:
    if len(key) < _SHORTEST_KEY:
        raise ExportError(
            f"{where} is shorter than {_SHORTEST_KEY} characters: "
            'take a random one, such as of `python -c "import secrets; print(secrets.token_hex(32))"`'
        )
    return key


class Pseudonyms:
    """The same conversation has the same pseudonym as long as the key is the same; without it nobody can tell which."""

    SHAPE = re.compile(r"c-[a-p]{32}")

    def __init__(self, key: bytes) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        """Tells keys apart without telling them, 16 hex digits."""
        return hashlib.sha256(b"hotdash export key\0" + self._key).hexdigest()[:16]

    def of(self, conversation_id: str) -> str:
        """`c-` and 32 letters."""
        digest = hmac.digest(self._key, b"conversation\0" + conversation_id.encode(), "sha256").hex()
        return f"c-{digest[:32].translate(_LETTERS)}"

    def in_text(self, text: str, conversation_id: str) -> str:
        """The text with "conversation #<number>" and the like, and the conversation's own name, replaced."""
        if not conversation_id.isdecimal() and len(conversation_id) >= _SHORTEST_NAME and conversation_id in text:
            text = re.sub(rf"(?<![\w-]){re.escape(conversation_id)}(?![\w-])", self.of(conversation_id), text)
        return _NAMED.sub(lambda match: self._named(match, conversation_id), text)

    def _named(self, match: re.Match[str], conversation_id: str) -> str:
        number = match["number"]
        if number == conversation_id or len(number) >= _LONG_NUMBER or _SURE.search(match["between"]):
            return match["before"] + self.of(number)
        return match.group()

    def in_json(self, value: Any, conversation_id: str) -> Any:
        """The JSON value with conversations replaced in every text and key, and below keys that say conversation."""
        if isinstance(value, str):
            return self.in_text(value, conversation_id)
        if isinstance(value, list):
            return [self.in_json(item, conversation_id) for item in value]
        if isinstance(value, dict):
            return {
                self.in_text(key, conversation_id): self._below(key, item, conversation_id)
                for key, item in value.items()
            }
        return value

    def _below(self, key: str, value: Any, conversation_id: str) -> Any:
        names_one = key.lower().replace("_", "").replace("-", "") in _KEYS
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if names_one and (is_number or (isinstance(value, str) and (value.isdecimal() or value == conversation_id))):
            return self.of(str(value))
        return self.in_json(value, conversation_id)
