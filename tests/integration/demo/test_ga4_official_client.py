"""Google's own GA4 client, over its REST transport, takes the stand-in for the Data API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in

# The development extra brings the official client.
data = pytest.importorskip("google.analytics.data_v1beta")

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"


@pytest.fixture(scope="module")
def stand_in() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.01, now=NOW, rough="calm") as running:
        yield running


@pytest.fixture(scope="module")
def credentials(stand_in: RunningStandIn) -> Any:
    """Credentials with an access token that google-auth fetched with the demo's service-account key."""
    from google.auth.transport.requests import Request
    from google.oauth2 import credentials as oauth2
    from google.oauth2 import service_account

    signer = service_account.Credentials.from_service_account_info(
        stand_in.credentials["ga4_service_account"], scopes=[SCOPE]
    )
    signer.refresh(Request())
    return oauth2.Credentials(token=signer.token)


def client_with(stand_in: RunningStandIn, credentials: Any) -> Any:
    return data.BetaAnalyticsDataClient(
        transport="rest", client_options={"api_endpoint": stand_in.url}, credentials=credentials
    )


def request_for(property_id: str = "424242", **changes: Any) -> Any:
    asked = {
        "property": f"properties/{property_id}",
        "dimensions": [{"name": "date"}, {"name": "sessionDefaultChannelGroup"}],
        "metrics": [{"name": "sessions"}, {"name": "keyEvents"}, {"name": "totalRevenue"}],
        "date_ranges": [{"start_date": "2026-11-09", "end_date": "2026-11-10"}],
        "return_property_quota": True,
    }
    return data.RunReportRequest({**asked, **changes})


def test_a_report_is_read_with_types_rows_and_quota(stand_in: RunningStandIn, credentials: Any) -> None:
    answer = client_with(stand_in, credentials).run_report(request_for())
    assert [header.name for header in answer.dimension_headers] == ["date", "sessionDefaultChannelGroup"]
    assert [header.type_ for header in answer.metric_headers] == [
        data.MetricType.TYPE_INTEGER,
        data.MetricType.TYPE_FLOAT,
        data.MetricType.TYPE_CURRENCY,
    ]
    assert answer.row_count == len(answer.rows) > 10
    assert {row.dimension_values[0].value for row in answer.rows} == {"20261109", "20261110"}
    assert sum(int(row.metric_values[0].value) for row in answer.rows) > 1_000
    assert (answer.metadata.currency_code, answer.metadata.time_zone) == ("USD", "America/New_York")
    assert answer.metadata.subject_to_thresholding is False
    assert answer.property_quota.tokens_per_day.consumed > 0
    assert answer.property_quota.concurrent_requests.remaining == 10


def test_filters_orders_and_pages_are_understood_with_enums_as_numbers(
    stand_in: RunningStandIn, credentials: Any
) -> None:
    exact = data.Filter.StringFilter.MatchType.EXACT
    numeric = data.OrderBy.DimensionOrderBy.OrderType.NUMERIC
    asked = request_for(
        dimension_filter={
            "filter": {
                "field_name": "sessionDefaultChannelGroup",
                "string_filter": {"match_type": exact, "value": "Email"},
            }
        },
        order_bys=[{"dimension": {"dimension_name": "date", "order_type": numeric}, "desc": True}],
        limit=1,
        offset=1,
    )
    answer = client_with(stand_in, credentials).run_report(asked)
    assert [[value.value for value in row.dimension_values] for row in answer.rows] == [["20261109", "Email"]]
    assert answer.row_count == 2


def test_a_report_without_rows_is_read_as_empty(stand_in: RunningStandIn, credentials: Any) -> None:
    asked = request_for(date_ranges=[{"start_date": "2026-12-24", "end_date": "2026-12-24"}])
    answer = client_with(stand_in, credentials).run_report(asked)
    assert (len(answer.rows), answer.row_count) == (0, 0)


def test_errors_become_the_clients_exceptions(stand_in: RunningStandIn, credentials: Any) -> None:
    from google.api_core import exceptions

    client = client_with(stand_in, credentials)
    with pytest.raises(exceptions.Forbidden, match="sufficient permissions"):
        client.run_report(request_for("1"))
    with pytest.raises(exceptions.BadRequest, match="not a valid metric"):
        client.run_report(request_for(metrics=[{"name": "guesses"}]))
    stand_in.scenarios.add("quota", "ga4", "runReport")
    with pytest.raises(exceptions.TooManyRequests, match="Exhausted property tokens"):
        client.run_report(request_for())
    stand_in.scenarios.add("status", "ga4", "runReport", status=503, body={"error": {"code": 503, "message": "no"}})
    with pytest.raises(exceptions.ServiceUnavailable):
        client.run_report(request_for())


def test_a_missing_or_made_up_token_is_met_with_401_which_makes_the_client_refresh(stand_in: RunningStandIn) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import InvalidOperation, RefreshError
    from google.oauth2 import credentials as oauth2

    for credentials, error in (
        (AnonymousCredentials(), InvalidOperation),
        (oauth2.Credentials(token="made-up"), RefreshError),
    ):
        stand_in.log.clear()
        with pytest.raises(error):
            client_with(stand_in, credentials).run_report(request_for())
        assert [entry["status"] for entry in stand_in.log.entries("ga4")] == [401]


def test_a_service_account_that_signs_its_own_tokens_is_accepted(stand_in: RunningStandIn) -> None:
    """The client's default for a key file without scopes: no token endpoint, a JWT as bearer."""
    from google.oauth2 import service_account

    own = service_account.Credentials.from_service_account_info(stand_in.credentials["ga4_service_account"])
    assert client_with(stand_in, own).run_report(request_for()).row_count > 10
