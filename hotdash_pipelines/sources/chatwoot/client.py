"""The Chatwoot application API client: signing in, the administrator check, single requests.

Belongs here: addresses, headers, the role and the server's clock. Does not belong here: shapes of answers (shapes.py),
paging and windows (paging.py), the streams (streams.py).
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from hotdash_pipelines.sources.errors import PermanentSourceError, in_one_line
from hotdash_pipelines.sources.http import HttpAnswer, HttpReader, Patience, utc_now

_HINTS = {
    401: "the token is refused; check HOTDASH_CHATWOOT_API_TOKEN",
    403: "the token's user may not read this; use an administrator's token in HOTDASH_CHATWOOT_API_TOKEN",
    404: "nothing is there; check HOTDASH_CHATWOOT_BASE_URL and HOTDASH_CHATWOOT_ACCOUNT_ID",
}
API_VERSION = "v1"
# What answers 5xx this often in a row is one sick record, as long as its neighbours answer.
_SICK_ATTEMPTS = 3


class ChatwootClient:
    """One account of a Chatwoot server, read as an administrator.

    An agent's token is refused: it sees the agent's own inboxes only, and the rest would be missing without a word.
    `requests` counts the HTTP requests sent.
    """

    def __init__(
        self,
        base_url: str,
        account_id: int,
        api_token: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
        timeout: float = 30.0,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        seed: int = 0,
    ) -> None:
        if not api_token:
            raise PermanentSourceError("chatwoot: no token; set HOTDASH_CHATWOOT_API_TOKEN")
        self._http = HttpReader(
            "chatwoot",
            base_url,
            hints=_HINTS,
            patience=patience,
            sleep=sleep,
            clock=clock,
            timeout=timeout,
            transport=transport,
            seed=seed,
        )
        self.account_id = account_id
        self._headers = {"api_access_token": api_token}
        self._is_administrator = False
        self.kept_lists: dict[str, Any] = {}
        """What was read of lists that no request can cut to a window, by name (paging.py)."""
        self._ahead = timedelta(0)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._http.requests

    def now(self) -> datetime:
        """The present instant by the server's clock, as its last answer told it; ours where it tells none."""
        return self._http.clock() + self._ahead

    @in_one_line()
    def ping(self) -> str:
        """The cheapest call that proves address, account, token and role."""
        self._is_administrator = False
        self.require_administrator()
        return f"{self._http.host}, account {self.account_id}, administrator"

    def require_administrator(self) -> None:
        """Ask once for the token's role in the account. Raises PermanentSourceError unless it is administrator."""
        if self._is_administrator:
            return
        answer = self._read("GET", "/api/v1/profile")
        profile = answer.document if isinstance(answer.document, dict) else {}
        accounts = [one for one in profile.get("accounts") or [] if isinstance(one, dict)]
        roles = [one.get("role") for one in accounts if one.get("id") == self.account_id]
        if not roles:
            raise PermanentSourceError(
                f"{self._http.host}: the token's user does not belong to account {self.account_id}; "
                "check HOTDASH_CHATWOOT_ACCOUNT_ID"
            )
        if roles[0] != "administrator":
            raise PermanentSourceError(
                f"{self._http.host}: the token is not an administrator's and would see a part of the data only; "
                "set an administrator's token in HOTDASH_CHATWOOT_API_TOKEN"
            )
        self._is_administrator = True

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> HttpAnswer:
        """`GET` below the account, such as `inboxes`. Raises SourceError."""
        self.require_administrator()
        return self._read("GET", self._account(path), params=params)

    def get_record(self, path: str, params: Mapping[str, str | int] | None = None) -> HttpAnswer:
        """`GET` of what belongs to one record, which may be gone or sick by itself: 404 and repeated 5xx are answers.

        Raises SourceError for every other fault.
        """
        self.require_administrator()
        sick = 0

        def is_of_the_record(answer: HttpAnswer) -> bool:
            nonlocal sick
            sick += answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            return answer.status == HTTPStatus.NOT_FOUND or sick >= _SICK_ATTEMPTS

        return self._read("GET", self._account(path), params=params, leave=is_of_the_record)

    def filter(self, kind: str, conditions: list[dict[str, Any]], page: int) -> HttpAnswer:
        """One page of the `conversations` or `contacts` that meet all conditions; a read although it is a POST.

        Raises SourceError.
        """
        self.require_administrator()
        return self._read("POST", self._account(f"{kind}/filter"), params={"page": page}, json={"payload": conditions})

    def report(self, metric: str, since: datetime, until: datetime, offset_hours: float) -> HttpAnswer:
        """`metric` of the account by hour in `[since, until)`, hours cut by the offset. Raises SourceError."""
        self.require_administrator()
        wanted: dict[str, str | int] = {
            "metric": metric,
            "type": "account",
            "since": int(since.timestamp()),
            "until": int(until.timestamp()),
            "group_by": "hour",
            "timezone_offset": f"{offset_hours:g}",
        }
        return self._read("GET", f"/api/v2/accounts/{self.account_id}/reports", params=wanted)

    def _account(self, path: str) -> str:
        return f"/api/v1/accounts/{self.account_id}/{path}"

    def _read(self, method: str, path: str, **options: Any) -> HttpAnswer:
        answer = self._http.read(method, path, headers=self._headers, **options)
        try:
            at = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return answer
        self._ahead = (at if at.tzinfo else at.replace(tzinfo=UTC)) - self._http.clock()
        return answer
