"""The routes of the GA4 face: the token endpoint and `runReport`.

Belongs here: HTTP, access, quota and faults. Does not belong here: what a report means (`request`, `report`).

Faults of its own: `quota` answers 429 for the counter in `args["counter"]`; `truncated_page` drops the second half of
the rows without a word, with `kind="unannounced"` from `rowCount` too, or with `kind="thresholding"` (and `min_users`)
or `kind="other"` (and `row_cap`) loses rows the way Google does, and says so in the metadata.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotdash_pipelines.demo.ga4 import report as reports
from hotdash_pipelines.demo.ga4.auth import InvalidGrant, Tokens
from hotdash_pipelines.demo.ga4.quota import COUNTERS, Quota
from hotdash_pipelines.demo.ga4.request import InvalidArgument, ReportRequest, dimension_names, parse
from hotdash_pipelines.demo.ga4.rough import FOLDED_ROW_CAP, SAMPLED_SHARE, WITHHELD_BELOW_USERS, roughened, spelled
from hotdash_pipelines.demo.scenarios import Scenario
from hotdash_pipelines.demo.wire import common_fault, json_response, record, retry_after
from hotdash_pipelines.demo.world import World

_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
_MISSING = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other "
    "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_INVALID = _MISSING.replace("is missing required authentication credential", "had invalid authentication credentials")
_FORBIDDEN = (
    "User does not have sufficient permissions for this property. To learn more about Property ID, see "
    "https://developers.google.com/analytics/devguides/reporting/data/v1/property-id."
)


class Ga4Refusal(Exception):
    """The request ends with this status and message in Google's error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Ga4Face:
    """The handlers and what they keep between requests: tokens and quota, in `world.extra["ga4"]` for the tests.

    `has_access` is whether the property lists the service account, `time_zone` the reporting zone that it tells.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens = Tokens(world)
        self.quota = Quota(world.clock)
        # What the property says of itself; its days are the shop's all the same.
        self.time_zone = world.shop.time_zone
        self.has_access = True
        world.extra["ga4"] = self

    async def token(self, request: Request) -> Response:
        """`POST /oauth2/token`: an access token for a signed assertion."""
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        scenario = self.world.scenarios.take("ga4", "token")
        response = await common_fault(scenario)
        if response is None:
            try:
                given = self.tokens.exchange(form.get("grant_type", [""])[0], form.get("assertion", [""])[0])
                response = json_response(given)
            except InvalidGrant as error:
                response = json_response({"error": error.error, "error_description": error.description}, 400)
        record(self.world, "ga4", request, "token", response.status_code)
        return response

    async def run_report(self, request: Request) -> Response:
        """`POST /v1beta/properties/{property_id}:runReport`."""
        raw = await request.body()
        try:
            body = orjson.loads(raw or b"{}")
        except orjson.JSONDecodeError:
            body = None
        operation = f"runReport {','.join(dimension_names(body))}"
        scenario = self.world.scenarios.take("ga4", operation)
        response = await common_fault(scenario)
        if response is None:
            try:
                response = json_response(self._report(request, body, scenario))
            except Ga4Refusal as refused:
                headers = retry_after(scenario) if scenario is not None and refused.status == 429 else {}
                response = json_response(error_body(refused.status, refused.message), refused.status, headers)
        if response.status_code >= 500:
            self.quota.spend("serverErrorsPerProjectPerHour", 1)
        record(self.world, "ga4", request, operation, response.status_code, {"body": body})
        return response

    def _report(self, request: Request, body: Any, scenario: Scenario | None) -> dict[str, Any]:
        self._check_access(request, scenario)
        if scenario is not None and scenario.name in ("quota", "throttle"):
            default = "concurrentRequests" if scenario.name == "throttle" else "tokensPerProjectPerHour"
            raise Ga4Refusal(429, COUNTERS[scenario.args.get("counter", default)][2])
        if (counter := self.quota.exhausted()) is not None:
            raise Ga4Refusal(429, COUNTERS[counter][2])
        shop = self.world.shop
        try:
            asked = parse(body, shop.day_of(shop.now_ts()))
            reports.check_fields(asked)
        except InvalidArgument as error:
            raise Ga4Refusal(400, str(error)) from None
        kind = scenario.args.get("kind") if scenario is not None and scenario.name == "truncated_page" else None
        args = scenario.args if scenario is not None else {}
        rough = roughened(shop, asked)
        row_cap = FOLDED_ROW_CAP if rough.folds else reports.ROW_CAP
        min_users = WITHHELD_BELOW_USERS if rough.withholds else 0
        report = reports.run(
            asked,
            self.world.traffic,
            row_cap=int(args.get("row_cap", 20)) if kind == "other" else row_cap,
            min_users=int(args.get("min_users", 10)) if kind == "thresholding" else min_users,
        )
        report.sampled_share = SAMPLED_SHARE if rough.samples else 1.0
        if scenario is not None and scenario.name == "empty":
            report.rows = {}
        self.quota.spend_tokens(reports.cost(asked, report))
        if kind == "thresholding" or rough.withholds:
            self.quota.spend("potentiallyThresholdedRequestsPerHour", 1)
        answer = reports.body(
            asked,
            report,
            currency=shop.currency,
            time_zone=self.time_zone,
            enums_as_numbers="enum-encoding=int" in (request.query_params.get("$alt") or ""),
            spell=partial(spelled, shop),
        )
        if asked.return_property_quota:
            answer["propertyQuota"] = self.quota.status()
        _spoil(answer, asked, scenario, kind)
        # Who stopped waiting does not know that the token is a good one.
        if scenario is None or scenario.name != "timeout":
            self.tokens.serve(_bearer(request))
        return answer

    def _check_access(self, request: Request, scenario: Scenario | None) -> None:
        bearer = _bearer(request)
        if not bearer:
            raise Ga4Refusal(401, _MISSING)
        is_ended = scenario is not None and scenario.name == "expired_token" and self._ends(bearer, scenario)
        if is_ended:
            self.tokens.forget(bearer)
        if is_ended or not self.tokens.accepts(bearer):
            raise Ga4Refusal(401, _INVALID)
        property_id = str(self.world.credentials["ga4_property_id"])
        if request.path_params["property_id"] != property_id or not self.has_access:
            raise Ga4Refusal(403, _FORBIDDEN)

    def _ends(self, bearer: str, expiry: Scenario) -> bool:
        return self.tokens.has_served(bearer) or not expiry.args.get("spares_new")


def _bearer(request: Request) -> str:
    """The token of the request, empty if there is none."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer if scheme.lower() == "bearer" else ""


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error as Google's APIs answer it."""
    return {"error": {"code": status, "message": message, "status": _STATUS[status]}}


def routes(world: World) -> list[Route]:
    """The routes of the GA4 face, to be mounted at the root."""
    face = Ga4Face(world)
    return [
        Route("/oauth2/token", face.token, methods=["POST"]),
        Route("/v1beta/properties/{property_id}:runReport", face.run_report, methods=["POST"]),
    ]


def _spoil(answer: dict[str, Any], asked: ReportRequest, scenario: Scenario | None, kind: str | None) -> None:
    """Act out the faults that leave the envelope whole."""
    if scenario is None:
        return
    rows = answer.get("rows")
    if scenario.name == "wrong_count":
        answer["rowCount"] = scenario.miscounted(answer.get("rowCount", 0))
    elif scenario.name == "unknown_field":
        answer[scenario.args.get("field", "brandNewField")] = scenario.args.get("value", {"nested": [1, 2]})
    elif scenario.name == "truncated_page" and rows and kind in (None, "unannounced"):
        answer["rows"] = rows[: len(rows) // 2]
        if kind is not None:
            answer["rowCount"] = len(answer["rows"])
    elif scenario.name == "wrong_type" and rows:
        metric = scenario.args.get("field", asked.metrics[0])
        rows[0]["metricValues"][asked.metrics.index(metric)]["value"] = scenario.args.get("value", "not-a-number")
