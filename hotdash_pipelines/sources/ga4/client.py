"""The GA4 Data API client: signing in as a service account, runReport, the quota budget.

Belongs here: tokens, paging of one report, quotas. Does not belong here: which report (streams.py).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson

from hotdash_pipelines.sources.errors import PermanentSourceError, QuotaExhausted, TransientSourceError, in_one_line
from hotdash_pipelines.sources.http import HttpAnswer, HttpReader, Patience, utc_now
from hotdash_pipelines.sources.registry import Note, Pages

API_VERSION = "v1beta"
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"
# A page is in memory as a whole: 3 MiB of JSON. Google sends up to 250,000 rows, which would be a GiB of objects.
ROWS_A_PAGE = 5_000
# Server errors are counted against a quota of ten an hour.
_SERVER_ATTEMPTS = 3
_KEPT_BACK = 0.1
# Quotas of a standard property. Google tells what is left, not what there was; a larger number seen is believed.
_QUOTAS = {
    "tokensPerDay": 200_000,
    "tokensPerHour": 40_000,
    "tokensPerProjectPerHour": 14_000,
    "serverErrorsPerProjectPerHour": 10,
    "potentiallyThresholdedRequestsPerHour": 120,
}
_TOKEN_LIFE = timedelta(hours=1)
_REFRESH_BEFORE = timedelta(minutes=5)
# Daily quotas are renewed at midnight here, hourly ones within the hour.
_QUOTA_ZONE = ZoneInfo("America/Los_Angeles")

_HINTS = {
    400: "the report is not valid for this property; check HOTDASH_GA4_PROPERTY_ID",
    401: "the service account is refused; check HOTDASH_GA4_CREDENTIALS_FILE",
    403: "the service account may not read the property; add its address as a viewer, and enable the Data API",
    404: "no such property; check HOTDASH_GA4_PROPERTY_ID",
}


@dataclass(frozen=True)
class Ga4Report:
    """What a stream asks for: names in the order in which the contract counts positions."""

    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class ReportRows:
    """The rows that Google announced of a report, the tokens they cost, and what Google says of the figures.

    `flags`: `sampled_share` (of the sessions read), `is_thresholded`, `has_other_row`, `empty_reason`; absent if not.
    """

    rows: int
    tokens: float
    flags: dict[str, Note]


class Ga4Client:
    """One GA4 property, read by a service account whose key is given as the JSON text that Google issues.

    Stops asking once 10 % of a quota is left, until it is renewed at `resume_at`. `requests` counts the HTTP requests
    sent; `property_zone` is the reporting time zone that the last answer named.
    """

    def __init__(
        self,
        base_url: str,
        property_id: str,
        service_account_json: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
        timeout: float = 60.0,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        seed: int = 0,
    ) -> None:
        try:
            key = orjson.loads(service_account_json)
            self._account = {name: str(key[name]) for name in ("client_email", "private_key", "token_uri")}
        except (orjson.JSONDecodeError, KeyError, TypeError):
            # The decoder's message quotes the text: it stays out of the chain.
            raise PermanentSourceError(
                "ga4: the credentials are not a service-account key (JSON with client_email, private_key, token_uri); "
                "check HOTDASH_GA4_CREDENTIALS_FILE"
            ) from None
        self._key_id = str(key.get("private_key_id") or "")
        self._http = HttpReader(
            "ga4",
            base_url,
            hints=_HINTS,
            patience=patience,
            sleep=sleep,
            clock=clock,
            timeout=timeout,
            transport=transport,
            seed=seed,
        )
        self.property_id = property_id
        self._path = f"/{API_VERSION}/properties/{property_id}:runReport"
        self._token: str | None = None
        self._token_ends: datetime | None = None
        self.resume_at: datetime | None = None
        self.property_zone: str | None = None
        self._limits = dict(_QUOTAS)
        self._shares_left: dict[str, float] = {}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, sign-in included."""
        return self._http.requests

    @in_one_line()
    def ping(self) -> str:
        """The cheapest call that proves key and property: one number of yesterday."""
        yesterday = (self._http.clock() - timedelta(days=1)).date().isoformat()
        document = self._report(Ga4Report(("date",), ("sessions",)), yesterday, 0, limit=1).document
        zone = (document.get("metadata") or {}).get("timeZone", "unknown time zone")
        scarce = min(self._shares_left.items(), key=lambda entry: entry[1], default=None)
        left = "" if scarce is None else f", {scarce[1]:.0%} of {scarce[0]} left"
        return f"property {self.property_id}, {zone}{left}"

    def now(self) -> datetime:
        """The present, UTC."""
        return self._http.clock()

    def report(self, wanted: Ga4Report, day: str, pages: Pages) -> ReportRows:
        """All rows of one day (`YYYY-MM-DD`, the property's calendar), appended to `pages` as they come.

        Raises QuotaExhausted, PermanentSourceError or TransientSourceError.
        """
        tokens, read = 0.0, 0
        flags: dict[str, Note] = {}
        while True:
            answer = self._report(wanted, day, read)
            document = answer.document
            rows, total = len(document.get("rows") or ()), int(document.get("rowCount") or 0)
            if rows:
                _check_headers(document, wanted)
            tokens += float(((document.get("propertyQuota") or {}).get("tokensPerDay") or {}).get("consumed") or 0)
            flags |= _flags(document)
            pages.append(answer.body)
            read += rows
            if read >= total:
                return ReportRows(total, tokens, flags)
            if rows < ROWS_A_PAGE:
                raise TransientSourceError(
                    f"{self._http.host}: runReport sent {read} of {total} rows; materialise the partition again"
                )

    def totals(self, metric: str, first: str, last: str) -> dict[str, int] | None:
        """A metric of each date from `first` to `last` (`YYYY-MM-DD`, both included), dates without visits left out.

        None where Google withholds small figures or samples: the totals are then no count. Raises like `report`.
        """
        wanted = Ga4Report(("date",), (metric,))
        document = self._report(wanted, first, 0, last=last).document
        rows, flags = document.get("rows") or (), _flags(document)
        if "is_thresholded" in flags or "sampled_share" in flags:
            return None
        if rows:
            _check_headers(document, wanted)
        try:
            dated = {row["dimensionValues"][0]["value"]: round(float(row["metricValues"][0]["value"])) for row in rows}
            return {f"{at[:4]}-{at[4:6]}-{at[6:]}": value for at, value in dated.items()}
        except (KeyError, IndexError, TypeError, ValueError, OverflowError):
            raise TransientSourceError(
                f"{self._http.host}: runReport was answered with totals of another shape; try again later"
            ) from None

    def _report(
        self, wanted: Ga4Report, day: str, offset: int, limit: int = ROWS_A_PAGE, *, last: str | None = None
    ) -> HttpAnswer:
        body = {
            "dimensions": [{"name": name} for name in wanted.dimensions],
            "metrics": [{"name": name} for name in wanted.metrics],
            "dateRanges": [{"startDate": day, "endDate": last or day}],
            # A stable order, so that pages neither overlap nor leave gaps. 64-bit numbers are text in Google's JSON.
            "orderBys": [{"dimension": {"dimensionName": name}} for name in wanted.dimensions],
            "limit": str(limit),
            "offset": str(offset),
            "returnPropertyQuota": True,
        }
        was_refreshed = False
        while True:
            self._stop_when_spent()
            answer = self._http.read(
                "POST",
                self._path,
                headers={"Authorization": f"Bearer {self._fresh_token()}"},
                json=body,
                leave=_is_ours,
                server_attempts=_SERVER_ATTEMPTS,
            )
            if answer.status == 401:
                if was_refreshed:
                    raise PermanentSourceError(f"{self._http.host}: runReport was answered 401: {_HINTS[401]}")
                self._token, was_refreshed = None, True
                continue
            if answer.status == 429:
                self.resume_at = self._renewal(_error_says(answer.document, "per day"))
                continue
            if not isinstance(answer.document, dict):
                raise TransientSourceError(
                    f"{self._http.host}: runReport was answered without a report; try again later"
                )
            self._budget(answer.document)
            self.property_zone = (answer.document.get("metadata") or {}).get("timeZone") or self.property_zone
            return answer

    def _budget(self, document: Mapping[str, Any]) -> None:
        """Note until when to pause if a quota has a tenth left; the answer at hand is still good."""
        quotas = document.get("propertyQuota") or {}
        spent = []
        for name in _QUOTAS.keys() & quotas.keys():
            left = int((quotas[name] or {}).get("remaining") or 0)
            self._limits[name] = max(self._limits[name], left)
            self._shares_left[name] = left / self._limits[name]
            if self._shares_left[name] <= _KEPT_BACK:
                spent.append(name)
        if spent:
            self.resume_at = self._renewal(any("PerDay" in name for name in spent))

    def _stop_when_spent(self) -> None:
        now = self._http.clock()
        if self.resume_at is None or now >= self.resume_at:
            return
        raise QuotaExhausted(
            f"{self._http.host}: the property's API quota is nearly used up; "
            f"materialise the partition again after {self.resume_at:%Y-%m-%d %H:%M} UTC",
            self.resume_at,
            (self.resume_at - now).total_seconds(),
        )

    def _renewal(self, is_daily: bool) -> datetime:
        now = self._http.clock()
        if not is_daily:
            return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        local = now.astimezone(_QUOTA_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        return (local + timedelta(days=1)).astimezone(now.tzinfo)

    def _fresh_token(self) -> str:
        now = self._http.clock()
        if self._token is None or self._token_ends is None or now >= self._token_ends:
            self._token, life = self._mint(now)
            self._token_ends = now + max(life - _REFRESH_BEFORE, life / 2)
        return self._token

    def _mint(self, now: datetime) -> tuple[str, timedelta]:
        """Exchange a signed assertion for an access token, and tell how long it lives."""
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self._assertion(now)}
        try:
            answer = self._http.read("POST", self._account["token_uri"], form=form)
        except PermanentSourceError as error:
            raise PermanentSourceError(
                f"{error.message}; signing in failed: check HOTDASH_GA4_CREDENTIALS_FILE and this machine's clock"
            ) from None
        grant = answer.document if isinstance(answer.document, dict) else {}
        token = grant.get("access_token")
        if not isinstance(token, str) or not token:
            raise PermanentSourceError("ga4: signing in gave no token; check HOTDASH_GA4_CREDENTIALS_FILE")
        return token, timedelta(seconds=float(grant.get("expires_in") or _TOKEN_LIFE.total_seconds()))

    def _assertion(self, now: datetime) -> str:
        # google-auth costs 0.1 s to import and is needed only once a token is.
        from google.auth import crypt, jwt

        try:
            signer = crypt.RSASigner.from_string(self._account["private_key"], self._key_id)
        except ValueError:
            raise PermanentSourceError(
                "ga4: the private key in HOTDASH_GA4_CREDENTIALS_FILE is not readable; download the key anew"
            ) from None
        issued = int(now.timestamp())
        claims = {
            "iss": self._account["client_email"],
            "scope": SCOPE,
            "aud": self._account["token_uri"],
            "iat": issued,
            "exp": issued + int(_TOKEN_LIFE.total_seconds()),
        }
        return jwt.encode(signer, claims).decode()


def _flags(document: Mapping[str, Any]) -> dict[str, Note]:
    """What Google says of a report's figures; a flag that is not so is left out by Google."""
    said = document.get("metadata") or {}
    flags: dict[str, Note] = {}
    if said.get("subjectToThresholding"):
        flags["is_thresholded"] = True
    if said.get("dataLossFromOtherRow"):
        flags["has_other_row"] = True
    if said.get("emptyReason"):
        flags["empty_reason"] = str(said["emptyReason"])
    for sampling in said.get("samplingMetadatas") or ():
        if space := int(sampling.get("samplingSpaceSize") or 0):
            flags["sampled_share"] = round(int(sampling.get("samplesReadCount") or 0) / space, 4)
    return flags


def _error_says(document: Any, words: str) -> bool:
    """Whether Google's error message has these words; it is read, never repeated."""
    error = document.get("error") if isinstance(document, dict) else None
    return isinstance(error, dict) and words in str(error.get("message", "")).lower()


def _is_ours(answer: HttpAnswer) -> bool:
    """A refused token, or a quota that only time renews; too many requests at once are worth another try soon."""
    return answer.status == 401 or (answer.status == 429 and not _error_says(answer.document, "concurrent"))


def _check_headers(document: Mapping[str, Any], wanted: Ga4Report) -> None:
    """Values come by position, so an answer in another order would be read wrongly without a word."""
    dimensions = tuple(one.get("name") for one in document.get("dimensionHeaders") or ())
    metrics = tuple(one.get("name") for one in document.get("metricHeaders") or ())
    if (dimensions, metrics) != (wanted.dimensions, wanted.metrics):
        raise PermanentSourceError(
            "runReport answered with other columns than were asked for; update hotdash-pipelines for this API version"
        )
