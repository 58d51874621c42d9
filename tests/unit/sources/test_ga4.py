"""Ga4Client and its reports, against scripted answers."""

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import load_contract
from hotdash_pipelines.contracts.model import CONTRACTS_DIR
from hotdash_pipelines.contracts.parse import parse_pages
from hotdash_pipelines.sources import PermanentSourceError, QuotaExhausted, TransientSourceError, fetcher
from hotdash_pipelines.sources.ga4 import client as ga4
from hotdash_pipelines.sources.ga4.client import Ga4Client
from hotdash_pipelines.sources.ga4.streams import LANDING_DAILY, TRAFFIC_DAILY
from hotdash_pipelines.sources.held import NOTHING

WINDOW = window_of("2026-11-18", ZoneInfo("America/New_York"))
TOKEN = "ya29.a0AfH6SMBx1234567890"


@pytest.fixture(scope="module")
def key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "client_email": "pipeline@shop.iam.gserviceaccount.com",
            "private_key": pem,
            "private_key_id": "k1",
            "token_uri": "https://oauth2.example/token",
        }
    )


@pytest.fixture
def client(key, fake_time):
    def make(steps):
        return Ga4Client(
            "https://ga.example",
            "424242",
            key,
            sleep=fake_time.sleep,
            clock=fake_time.now,
            transport=steps.transport,
        )

    return make


def minted(token=TOKEN):
    return httpx.Response(200, json={"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


def quota(**left):
    return {name: {"consumed": 5, "remaining": number} for name, number in left.items()}


def report(rows, total=None, wanted=TRAFFIC_DAILY, **extra):
    document = {
        "dimensionHeaders": [{"name": name} for name in wanted.dimensions],
        "metricHeaders": [{"name": name, "type": "TYPE_INTEGER"} for name in wanted.metrics],
        "metadata": {"currencyCode": "USD", "timeZone": "America/New_York"},
        "kind": "analyticsData#runReport",
        **extra,
    }
    if rows:
        document["rows"] = [row(number, wanted) for number in rows]
    if total is None:
        total = len(rows)
    if total:
        document["rowCount"] = total
    return httpx.Response(200, json=document)


def row(number, wanted):
    return {
        "dimensionValues": [{"value": "20261118"}, *[{"value": f"v{number}"} for _ in wanted.dimensions[1:]]],
        "metricValues": [{"value": str(number)} for _ in wanted.metrics],
    }


def fetch(client_of, steps, stream="traffic_daily", pages=None):
    return fetcher("ga4", stream)(client_of(steps), None, WINDOW, NOTHING, pages)


def error(status, message="m"):
    return httpx.Response(status, json={"error": {"code": status, "status": "X", "message": message}})


def test_one_day_is_one_request_signed_by_the_service_account(script, client):
    steps = script(minted(), report([1, 2]))
    fetched = fetch(client, steps)
    assert (fetched.expected_rows, fetched.requests, fetched.api_version) == (2, 2, "v1beta")
    signing, asking = steps.seen
    form = parse_qs(signing.content.decode())
    claims = form["assertion"][0].split(".")[1]
    read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert read["iss"] == "pipeline@shop.iam.gserviceaccount.com"
    assert read["scope"].endswith("analytics.readonly")
    assert (read["aud"], read["exp"] - read["iat"]) == ("https://oauth2.example/token", 3600)
    assert str(asking.url) == "https://ga.example/v1beta/properties/424242:runReport"
    assert asking.headers["authorization"] == f"Bearer {TOKEN}"
    body = orjson.loads(asking.content)
    assert body["dateRanges"] == [{"startDate": "2026-11-18", "endDate": "2026-11-18"}]
    assert (body["limit"], body["offset"]) == ("5000", "0")


@pytest.mark.parametrize(("stream", "wanted"), [("traffic_daily", TRAFFIC_DAILY), ("landing_daily", LANDING_DAILY)])
def test_names_stand_in_the_order_of_the_contracts_positions(script, client, stream, wanted):
    contract = load_contract(CONTRACTS_DIR / "ga4" / f"{stream}.yaml")
    positions = {field.name: field.path for field in contract.table.fields if field.scope == "record" and field.path}
    expected = [f"dimensionValues[{n}].value" for n in range(len(wanted.dimensions))]
    expected += [f"metricValues[{n}].value" for n in range(len(wanted.metrics))]
    assert list(positions.values()) == expected
    # Each column's description or name tells which of Google's names it is.
    google = {
        "property_date": "date", "channel_group": "sessionDefaultChannelGroup", "source": "sessionSource",
        "medium": "sessionMedium", "campaign": "sessionCampaignName", "landing_page": "landingPage",
        "device": "deviceCategory", "sessions": "sessions", "engaged_sessions": "engagedSessions",
        "total_users": "totalUsers", "new_users": "newUsers", "page_views": "screenPageViews",
        "key_events": "keyEvents", "purchases": "ecommercePurchases", "revenue_amount": "totalRevenue",
    }  # fmt: skip
    assert [google[name] for name in positions] == [*wanted.dimensions, *wanted.metrics]


def test_a_day_without_rows_is_an_empty_page_that_still_parses(script, client):
    fetched = fetch(client, script(minted(), report([])))
    assert fetched.expected_rows == 0
    parsed = parse_pages(load_contract(CONTRACTS_DIR / "ga4" / "traffic_daily.yaml"), fetched.pages)
    assert parsed.bad_pages == []
    assert parsed.tables["traffic_daily"].num_rows == 0


def test_a_report_longer_than_a_page_is_read_by_offset(script, client, monkeypatch):
    monkeypatch.setattr(ga4, "ROWS_A_PAGE", 2)
    steps = script(minted(), report([1, 2], 5), report([3, 4], 5), report([5], 5))
    pages = []
    assert fetch(client, steps, pages=pages).pages is pages
    assert len(pages) == 3
    assert [orjson.loads(one.content)["offset"] for one in steps.seen[1:]] == ["0", "2", "4"]


def test_rows_that_are_announced_but_missing_are_transient(script, client):
    with pytest.raises(TransientSourceError, match="sent 1 of 3 rows"):
        fetch(client, script(minted(), report([1], 3)))


def test_columns_in_another_order_are_refused(script, client):
    turned = ga4.Ga4Report(TRAFFIC_DAILY.dimensions, tuple(reversed(TRAFFIC_DAILY.metrics)))
    with pytest.raises(PermanentSourceError, match="other columns"):
        fetch(client, script(minted(), report([1], wanted=turned)))


def test_the_token_is_kept_and_replaced_before_it_expires(script, client, fake_time):
    steps = script(minted("t1"), report([1]), report([1]), minted("t2"), report([1]))
    google = client(steps)
    google.report(TRAFFIC_DAILY, "2026-11-18", [])
    google.report(TRAFFIC_DAILY, "2026-11-18", [])
    fake_time.at += timedelta(minutes=56)
    google.report(TRAFFIC_DAILY, "2026-11-18", [])
    assert [one.headers.get("authorization") for one in steps.seen] == [
        None, "Bearer t1", "Bearer t1", None, "Bearer t2",
    ]  # fmt: skip


def test_a_refused_token_is_replaced_once(script, client):
    assert fetch(client, script(minted("t1"), error(401), minted("t2"), report([1]))).expected_rows == 1
    with pytest.raises(PermanentSourceError, match="401: the service account is refused"):
        fetch(client, script(minted("t1"), error(401), minted("t2"), error(401)))


@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_key_is_permanent_and_never_shown(script, client, key, status):
    steps = script(httpx.Response(status, json={"error": "invalid_grant", "error_description": key}))
    with pytest.raises(PermanentSourceError, match="HOTDASH_GA4_CREDENTIALS_FILE") as caught:
        fetch(client, steps)
    assert "PRIVATE" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_report_is_permanent_and_says_what_to_do(script, client, status):
    with pytest.raises(PermanentSourceError, match=rf"^ga4/traffic_daily 2026-11-18: .*answered {status}: "):
        fetch(client, script(minted(), error(status, f"secret {TOKEN}")))


def test_server_errors_are_repeated_twice_at_most_because_they_are_counted(script, client):
    steps = script(minted(), *[error(503)] * 9)
    with pytest.raises(TransientSourceError, match="gave up after 3 tries"):
        fetch(client, steps)
    assert len(steps.seen) == 4


@pytest.mark.parametrize(
    ("message", "resume"),
    [
        ("Exhausted property tokens for a project per hour.", datetime(2026, 11, 20, 13, tzinfo=UTC)),
        ("Exhausted property tokens per day.", datetime(2026, 11, 21, 8, tzinfo=UTC)),
    ],
)
def test_an_exhausted_quota_says_when_to_resume_and_is_not_asked_again(script, client, message, resume):
    steps = script(minted(), error(429, message))
    google = client(steps)
    for _ in range(2):
        with pytest.raises(QuotaExhausted, match=f"after {resume:%Y-%m-%d %H:%M} UTC") as caught:
            google.report(TRAFFIC_DAILY, "2026-11-18", [])
        assert caught.value.resume_at == resume
        assert caught.value.retry_after > 0
    assert len(steps.seen) == 2


def test_too_many_requests_at_once_are_tried_again_soon(script, client, fake_time):
    steps = script(minted(), error(429, "Exhausted concurrent requests quota."), report([1]))
    assert fetch(client, steps).expected_rows == 1
    assert sum(fake_time.naps) < 1


@pytest.mark.parametrize(
    ("left", "resume"),
    [
        ({"tokensPerDay": 20_000, "tokensPerHour": 30_000}, datetime(2026, 11, 21, 8, tzinfo=UTC)),
        ({"tokensPerDay": 100_000, "tokensPerHour": 4_000}, datetime(2026, 11, 20, 13, tzinfo=UTC)),
        ({"tokensPerProjectPerHour": 1_400}, datetime(2026, 11, 20, 13, tzinfo=UTC)),
        ({"serverErrorsPerProjectPerHour": 1}, datetime(2026, 11, 20, 13, tzinfo=UTC)),
    ],
)
def test_at_a_tenth_of_a_quota_the_answer_is_kept_and_the_next_request_waits(script, client, fake_time, left, resume):
    def either(request):
        return minted() if request.url.path == "/token" else report([1])

    steps = script(minted(), report([1], propertyQuota=quota(**left)), either, either)
    google = client(steps)
    assert google.report(TRAFFIC_DAILY, "2026-11-18", []).rows == 1
    with pytest.raises(QuotaExhausted) as caught:
        google.report(TRAFFIC_DAILY, "2026-11-19", [])
    assert caught.value.resume_at == resume
    assert len(steps.seen) == 2
    fake_time.at = resume
    assert google.report(TRAFFIC_DAILY, "2026-11-19", []).rows == 1


def test_a_quota_with_more_than_a_tenth_left_goes_on(script, client):
    plenty = quota(tokensPerDay=20_001, tokensPerHour=4_001, concurrentRequests=0)
    steps = script(minted(), report([1], propertyQuota=plenty), report([1]))
    google = client(steps)
    assert google.report(TRAFFIC_DAILY, "2026-11-18", []).tokens == 5
    assert google.report(TRAFFIC_DAILY, "2026-11-19", []).rows == 1


@pytest.mark.parametrize("text", ["", "not json SECRETKEY", "[]", '{"client_email": "SECRETKEY"}'])
def test_credentials_that_are_no_key_are_told_without_quoting_them(text):
    with pytest.raises(PermanentSourceError, match="not a service-account key") as caught:
        Ga4Client("https://ga.example", "424242", text)
    assert "SECRETKEY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_private_key_that_cannot_be_read_is_told_without_quoting_it(script, fake_time):
    broken = json.dumps(
        {"client_email": "a@b", "private_key": "-----BEGIN SECRETKEY", "token_uri": "https://t.example"}
    )
    google = Ga4Client("https://ga.example", "424242", broken, transport=script().transport, clock=fake_time.now)
    with pytest.raises(PermanentSourceError, match="not readable") as caught:
        google.ping()
    assert "SECRETKEY" not in str(caught.value)


def test_ping_asks_for_one_number(script, client):
    steps = script(minted(), report([1], wanted=ga4.Ga4Report(("date",), ("sessions",))))
    assert client(steps).ping() == "property 424242, America/New_York"
    assert orjson.loads(steps.seen[1].content)["limit"] == "1"
