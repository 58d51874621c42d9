"""One HTTP read with retries: the only place where answers and faults are sorted into permanent and transient.

Belongs here: sending, time-outs, backoff, Retry-After, JSON decoding, how large an answer may be, one-line errors.
Does not belong here: what an API's own error bodies mean; a client looks at those through `leave`.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from hotdash_pipelines.sources.errors import PermanentSourceError, TransientSourceError

# More than any page holds, and little enough to be held in memory while it is read.
LARGEST_ANSWER = 128 * 1024 * 1024
TRANSIENT_STATUSES = frozenset({408, 425, 429})
_HINTS = {
    400: "the request is not understood; check the API version",
    401: "the credentials are refused; check them",
    402: "the account is frozen until its bill is paid",
    403: "the credentials lack a permission",
    404: "nothing is there; check the base URL, the account and the API version",
    423: "the account is locked; ask the vendor's support",
    429: "too many requests; wait, or run fewer at a time",
}


def utc_now() -> datetime:
    """The present instant in UTC; clients take it as their default clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class HttpAnswer:
    """A response: `document` is the parsed JSON body, None when the body is not JSON."""

    status: int
    headers: httpx.Headers
    body: bytes
    document: Any


@dataclass(frozen=True)
class Patience:
    """How long one call is kept up: `attempts`, full-jitter waits up to `longest_wait` s, `deadline` s in all."""

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 20.0
    deadline: float = 180.0


class _Fault(Exception):
    """One attempt failed in a way that another attempt may not."""

    def __init__(self, reason: str, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.status = status


class HttpReader:
    """Reads from one API over one connection pool.

    `hints` maps a status to what the user should do about it. `sleep` (seconds) and `clock` (aware UTC) are injected,
    waits come from a generator seeded with `seed`. `requests` counts what was sent.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        hints: Mapping[int, str] | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        seed: int = 0,
    ) -> None:
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise PermanentSourceError(f"{name}: the base URL is not an http(s) address; mend it")
        self.name = name
        self.host = url.host
        self.requests = 0
        self.patience = patience or Patience()
        self.clock = clock
        self.sleep = sleep
        self._base = str(url).rstrip("/")
        self._hints = {**_HINTS, **(hints or {})}
        self._timeout = timeout
        self._random = random.Random(seed)
        # Redirects are not followed: they would carry the credentials to another host.
        # A proxy from the environment is for the outside world, not for a server on this machine.
        outside = url.host not in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.Client(timeout=timeout, transport=transport, follow_redirects=False, trust_env=outside)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def read(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        leave: Callable[[HttpAnswer], bool] | None = None,
        idempotent: bool = True,
        server_attempts: int | None = None,
    ) -> HttpAnswer:
        """Send a request until it is answered with JSON and 2xx; `path` is below the base URL, or a whole URL.

        An answer for which `leave` is true is handed back whatever its status. `server_attempts` caps the attempts
        after 5xx. Only idempotent requests are repeated. Raises PermanentSourceError, or TransientSourceError once
        patience ends; `retry_after` tells then how long the source asked to wait.
        """
        url = path if "://" in path else self._base + path
        what = f"{method} {httpx.URL(url).path}"
        content = None if json is None else orjson.dumps(json)
        sent = {**(headers or {}), **({"content-type": "application/json"} if content is not None else {})}
        request = self._client.build_request(method, url, headers=sent, params=params, content=content, data=form)
        ends = self.clock().timestamp() + self.patience.deadline
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._send(request, what, leave, ends)
            except _Fault as fault:
                limit = self.patience.attempts
                if server_attempts is not None and fault.status is not None and fault.status >= 500:
                    limit = min(limit, server_attempts)
                wait = self._wait(attempt, fault.retry_after)
                tired = not idempotent or attempt >= limit
                if tired or self.clock().timestamp() + wait > ends:
                    tries = f"{attempt} {'try' if attempt == 1 else 'tries'}"
                    hint = self._hints.get(fault.status or 0, "materialise the partition again later")
                    message = f"{self.host}: {what} {fault.reason} (gave up after {tries}); {hint}"
                    raise TransientSourceError(message, fault.retry_after) from None
                self.sleep(wait)

    def backoff(self, attempt: int) -> float:
        """Full-jitter exponential wait in seconds before the try after `attempt` (from 1)."""
        ceiling = min(self.patience.longest_wait, self.patience.first_wait * 2 ** (attempt - 1))
        return self._random.uniform(0, ceiling)

    def _wait(self, attempt: int, retry_after: float | None) -> float:
        """What the source asked for, plus a little so that many clients do not return at once; else the backoff."""
        if retry_after is None:
            return self.backoff(attempt)
        return retry_after + self._random.uniform(0, self.patience.first_wait)

    def _send(
        self, request: httpx.Request, what: str, leave: Callable[[HttpAnswer], bool] | None, ends: float
    ) -> HttpAnswer:
        self.requests += 1
        try:
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response, ends)
            finally:
                response.close()
        except httpx.TimeoutException:
            raise _Fault(f"timed out after {self._timeout:g} s") from None
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                why = "the TLS certificate is not trusted; check the base URL"
                raise PermanentSourceError(f"{self.host}: {why}") from None
            raise _Fault("failed: the host cannot be reached; check the base URL and the network") from None
        except (httpx.ReadError, httpx.RemoteProtocolError, httpx.DecodingError):
            raise _Fault("failed: the answer was cut off") from None
        except httpx.TransportError as error:
            raise _Fault(f"failed: {type(error).__name__}") from None
        answer = HttpAnswer(response.status_code, response.headers, body, _parsed(body))
        if leave is not None and leave(answer):
            return answer
        if 200 <= answer.status < 300:
            if answer.document is None:
                raise _Fault("was answered with something that is not JSON; check the base URL if it persists")
            return answer
        if answer.status in TRANSIENT_STATUSES or answer.status >= 500:
            raise _Fault(
                f"was answered {answer.status}",
                retry_after_seconds(answer.headers.get("retry-after"), self.clock()),
                answer.status,
            )
        if 300 <= answer.status < 400:
            raise PermanentSourceError(
                f"{self.host}: {what} was redirected ({answer.status}); set the base URL it leads to"
            )
        hint = self._hints.get(answer.status, "the request is refused; check the base URL and the API version")
        raise PermanentSourceError(f"{self.host}: {what} was answered {answer.status}: {hint}")

    def _body(self, response: httpx.Response, ends: float) -> bytes:
        """The whole body, unless it drips in for longer than the call may last (httpx times only each read).

        A few compressed kilobytes may stand for gigabytes: what is counted is what comes out.
        """
        parts: list[bytes] = []
        length = 0
        for part in response.iter_bytes():
            parts.append(part)
            length += len(part)
            if length > LARGEST_ANSWER:
                raise TransientSourceError(
                    f"{self.host}: the answer is longer than {LARGEST_ANSWER // 2**20} MiB; "
                    "check the base URL, or ask for less at a time"
                )
            if self.clock().timestamp() > ends:
                raise _Fault(f"was still answering after {self.patience.deadline:g} s")
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def seconds_of(value: Any, default: float) -> float:
    """A number of seconds that an answer tells, `default` where it is none above zero."""
    is_number = isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal())
    return float(value) if is_number and 0 < float(value) < float("inf") else default


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header (a number or an HTTP date) asks for; None when absent or unreadable."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
