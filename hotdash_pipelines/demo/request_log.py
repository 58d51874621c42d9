"""What the stand-in was asked, so that tests can prove what a client did and did not ask for.

Belongs here: a bounded list of requests in memory. Does not belong here: headers, tokens or answer bodies.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# A request may carry one of these among its variables or parameters; its value never reaches the log.
_SECRET_WORDS = ("secret", "token", "password", "assertion", "authorization", "api_key", "credential")


class RequestLog:
    """The last `limit` requests, oldest first. Safe to use from several threads."""

    def __init__(self, limit: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=limit)

    def record(
        self,
        *,
        at: datetime,
        source: str,
        method: str,
        path: str,
        operation: str,
        status: int,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep one request: virtual time, API, HTTP method and path, operation, variables and the status answered.

        The value of any variable whose name speaks of a secret is replaced, at every depth.
        """
        entry = {
            "at": at.isoformat(),
            "source": source,
            "method": method,
            "path": path,
            "operation": operation,
            "variables": _without_secrets(dict(variables or {})),
            "status": status,
        }
        with self._lock:
            self._entries.append(entry)

    def entries(self, source: str | None = None) -> list[dict[str, Any]]:
        """The kept requests, oldest first, of one source or of all."""
        with self._lock:
            return [dict(entry) for entry in self._entries if source is None or entry["source"] == source]

    def clear(self) -> None:
        """Forget every request."""
        with self._lock:
            self._entries.clear()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "***" if any(word in str(key).lower() for word in _SECRET_WORDS) else _without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value
