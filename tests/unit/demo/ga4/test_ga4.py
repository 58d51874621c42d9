"""Reports of the stand-in's GA4 face: they add up, page, filter and refuse as the Data API's."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from hotdash_pipelines.demo.world import World
from tests.unit.demo.ga4.ga4_face import (
    DAY,
    PATH,
    ask_token,
    assertion,
    make_world,
    report,
    request_for,
    signed_in,
    table,
)

ADDITIVE = ("sessions", "engagedSessions", "newUsers", "screenPageViews", "keyEvents", "ecommercePurchases")


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def api(world: World) -> TestClient:
    return signed_in(world)


@pytest.fixture(scope="module")
def shared() -> TestClient:
    """A face that tests only ask for reports."""
    return signed_in(make_world())


def test_another_property_is_403(api: TestClient) -> None:
    answer = api.post("/v1beta/properties/1:runReport", json=request_for(["date"], ["sessions"]))
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_the_answer_has_the_published_shape(shared: TestClient) -> None:
    body = report(shared, ["date", "sessionDefaultChannelGroup"], ["sessions", "keyEvents", "totalRevenue"])
    assert body["kind"] == "analyticsData#runReport"
    assert body["dimensionHeaders"] == [{"name": "date"}, {"name": "sessionDefaultChannelGroup"}]
    assert body["metricHeaders"] == [
        {"name": "sessions", "type": "TYPE_INTEGER"},
        {"name": "keyEvents", "type": "TYPE_FLOAT"},
        {"name": "totalRevenue", "type": "TYPE_CURRENCY"},
    ]
    assert body["metadata"] == {"currencyCode": "USD", "timeZone": "America/New_York"}
    assert body["rowCount"] == len(body["rows"])
    assert "propertyQuota" not in body
    for row in body["rows"]:
        assert row.keys() == {"dimensionValues", "metricValues"}
        assert all(type(one["value"]) is str for one in [*row["dimensionValues"], *row["metricValues"]])
        assert row["dimensionValues"][0]["value"] == "20261110"


def test_enums_are_numbers_where_the_client_asks_for_numbers(shared: TestClient) -> None:
    asked = request_for(["date"], ["sessions", "keyEvents", "totalRevenue"])
    answer = shared.post(f"{PATH}?$alt=json%3Benum-encoding%3Dint", json=asked).json()
    assert [one["type"] for one in answer["metricHeaders"]] == [1, 2, 9]


def test_rows_and_row_count_are_absent_when_there_is_nothing(shared: TestClient) -> None:
    body = report(shared, ["date"], ["sessions"], start="2026-12-24")
    assert "rows" not in body
    assert "rowCount" not in body
    assert body["metricHeaders"]


def test_additive_metrics_add_up_to_the_same_sums_in_every_report(shared: TestClient) -> None:
    sums = []
    for dimensions in (
        ["date"],
        ["date", "landingPage"],
        ["date", "sessionSource", "sessionMedium", "sessionCampaignName"],
        ["date", "sessionDefaultChannelGroup", "deviceCategory"],
        [],
    ):
        rows = table(report(shared, dimensions, [*ADDITIVE, "totalRevenue"])).values()
        sums.append([round(sum(float(row[n]) for row in rows), 2) for n in range(len(ADDITIVE) + 1)])
    assert all(one == sums[0] for one in sums)
    assert min(sums[0]) > 0


def test_users_do_not_add_up(shared: TestClient) -> None:
    by_page = sum(int(row[0]) for row in table(report(shared, ["landingPage"], ["totalUsers"])).values())
    (total,) = table(report(shared, [], ["totalUsers"])).values()
    assert by_page > int(total[0]) > 0


def test_purchases_of_a_settled_day_are_the_sites_orders(api: TestClient, world: World) -> None:
    orders = [
        order
        for order in world.shop.orders_created_on(date.fromisoformat(DAY))
        if not order.is_test and order.basket.source_name == "web"
    ]
    (row,) = table(report(api, ["date"], ["ecommercePurchases", "totalRevenue"])).values()
    assert int(row[0]) == len(orders)
    assert float(row[1]) == pytest.approx(float(sum(order.total for order in orders)), abs=0.005)


def test_a_range_of_days_has_a_row_a_day_and_relative_dates_follow_the_store(shared: TestClient) -> None:
    rows = table(report(shared, ["date"], ["sessions"], start="3daysAgo", end="yesterday"))
    assert sorted(rows) == [("20261117",), ("20261118",), ("20261119",)]
    assert sorted(table(report(shared, ["date"], ["sessions"], start="today"))) == [("20261120",)]


def test_two_ranges_add_a_dimension_for_the_range(shared: TestClient) -> None:
    body = shared.post(
        PATH,
        json=request_for(["sessionMedium"], ["sessions"])
        | {
            "dateRanges": [
                {"startDate": DAY, "endDate": DAY},
                {"startDate": "2026-11-11", "endDate": "2026-11-11", "name": "b"},
            ]
        },
    ).json()
    assert [one["name"] for one in body["dimensionHeaders"]] == ["sessionMedium", "dateRange"]
    assert {key[1] for key in table(body)} == {"date_range_0", "b"}


@pytest.mark.parametrize("number", [int, str])
def test_pages_by_limit_and_offset_hold_each_row_once(shared: TestClient, number: Any) -> None:
    everything = list(table(report(shared, ["landingPage", "deviceCategory"], ["sessions"])))
    paged: list[tuple[str, ...]] = []
    while True:
        part = report(
            shared, ["landingPage", "deviceCategory"], ["sessions"], limit=number(20), offset=number(len(paged))
        )
        assert part["rowCount"] == len(everything)
        paged += table(part)
        if len(paged) >= part["rowCount"]:
            break
    assert paged == everything


def test_rows_are_ordered_as_asked(shared: TestClient) -> None:
    by_metric = report(
        shared, ["sessionSource"], ["sessions"], orderBys=[{"metric": {"metricName": "sessions"}, "desc": True}]
    )
    counts = [int(row[0]) for row in table(by_metric).values()]
    assert counts == sorted(counts, reverse=True)
    orders = [
        {"dimension": {"dimensionName": "date", "orderType": 3}, "desc": True},
        {"dimension": {"dimensionName": "deviceCategory", "orderType": "ALPHANUMERIC"}},
    ]
    keys = list(table(report(shared, ["date", "deviceCategory"], ["sessions"], end="2026-11-12", orderBys=orders)))
    assert keys == sorted(sorted(keys, key=lambda key: key[1]), key=lambda key: key[0], reverse=True)


@pytest.mark.parametrize(
    ("filter_", "keep"),
    [
        ({"fieldName": "sessionMedium", "stringFilter": {"value": "cpc"}}, lambda k: k[1] == "cpc"),
        ({"fieldName": "sessionMedium", "stringFilter": {"matchType": 2, "value": "C"}}, lambda k: k[1] == "cpc"),
        (
            {"fieldName": "sessionSource", "stringFilter": {"matchType": "CONTAINS", "value": "OO"}},
            lambda k: "oo" in k[0],
        ),
        (
            {"fieldName": "sessionSource", "stringFilter": {"matchType": "FULL_REGEXP", "value": "goo.*|bing"}},
            lambda k: k[0] in ("google", "bing"),
        ),
        (
            {"fieldName": "sessionSource", "inListFilter": {"values": ["google", "tiktok.com"]}},
            lambda k: k[0] in ("google", "tiktok.com"),
        ),
    ],
)
def test_a_dimension_filter_keeps_matching_rows(shared: TestClient, filter_: dict[str, Any], keep: Any) -> None:
    dimensions = ["sessionSource", "sessionMedium"]
    everything = table(report(shared, dimensions, ["sessions"]))
    kept = table(report(shared, dimensions, ["sessions"], dimensionFilter={"filter": filter_}))
    assert kept == {key: row for key, row in everything.items() if keep(key)}
    assert 0 < len(kept) < len(everything)
    dropped = table(report(shared, dimensions, ["sessions"], dimensionFilter={"notExpression": {"filter": filter_}}))
    assert dropped.keys() == everything.keys() - kept.keys()


def test_groups_of_filters_combine(shared: TestClient) -> None:
    mobile = {"filter": {"fieldName": "deviceCategory", "stringFilter": {"value": "mobile"}}}
    search = {"filter": {"fieldName": "sessionSource", "inListFilter": {"values": ["google"]}}}

    def keys(kind: str) -> set[tuple[str, ...]]:
        expression = {kind: {"expressions": [mobile, search]}}
        return set(table(report(shared, ["sessionSource", "deviceCategory"], ["sessions"], dimensionFilter=expression)))

    assert keys("andGroup") == {("google", "mobile")}
    assert all("google" in key or "mobile" in key for key in keys("orGroup"))
    assert len(keys("orGroup")) > 3


def test_rows_of_zeroes_are_left_out_unless_asked_for(shared: TestClient) -> None:
    dimensions = ["landingPage", "sessionSource", "deviceCategory"]
    without = table(report(shared, dimensions, ["ecommercePurchases"]))
    everything = table(report(shared, dimensions, ["ecommercePurchases"], keepEmptyRows=True))
    assert all(row != ["0"] for row in without.values())
    assert len(everything) > len(without) > 0


def test_literals_of_the_api_occur(shared: TestClient) -> None:
    rows = table(report(shared, ["landingPage", "sessionSource", "sessionCampaignName"], ["sessions"]))
    assert "" in {key[0] for key in rows}
    assert "(direct)" in {key[1] for key in rows}
    assert {"(organic)", "(direct)", "(not set)"} <= {key[2] for key in rows}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimensions": [{"name": "sessionGuess"}]}, "Field sessionGuess is not a valid dimension."),
        ({"metrics": [{"name": "itemsViewed"}]}, "Field itemsViewed is not a valid metric."),
        ({"metrics": []}, "at least one metric"),
        ({"dimensions": [{"name": f"d{n}"} for n in range(10)]}, "Only 9 dimensions"),
        ({"metrics": [{"name": f"m{n}"} for n in range(11)]}, "Only 10 metrics"),
        ({"dateRanges": [{"startDate": "2026-11-12", "endDate": "2026-11-10"}]}, "is after"),
        ({"dateRanges": [{"startDate": "yesteryear", "endDate": "today"}]}, "Invalid date"),
        ({"dateRanges": []}, "date range"),
        ({"limit": "many"}, "Invalid value at 'limit'"),
        ({"surprise": 1}, 'Unknown name "surprise"'),
        ({"orderBys": [{"metric": {"metricName": "newUsers"}}]}, "newUsers is used in order_bys"),
        ({"dimensionFilter": {"filter": {"fieldName": "nope", "stringFilter": {"value": "x"}}}}, "Field nope"),
        ({"dimensionFilter": {"andGroup": {}, "orGroup": {}}}, "exactly one"),
    ],
)
def test_a_bad_request_is_400_invalid_argument(shared: TestClient, changes: dict[str, Any], message: str) -> None:
    answer = shared.post(PATH, json=request_for(["date"], ["sessions"]) | changes)
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert message in answer.json()["error"]["message"]


def test_a_body_that_is_not_json_is_400(shared: TestClient) -> None:
    assert shared.post(PATH, content=b"{").status_code == 400


def test_yesterday_grows_until_it_is_final(world: World, api: TestClient) -> None:
    def sessions() -> int:
        api.headers["Authorization"] = f"Bearer {ask_token(api, assertion()).json()['access_token']}"
        (row,) = table(report(api, ["date"], ["sessions"], start="2026-11-19")).values()
        return int(row[0])

    seen = [sessions()]
    for _ in range(4):
        world.clock.advance(timedelta(days=1))
        seen.append(sessions())
    assert seen[0] < seen[1] <= seen[2] == seen[3] == seen[4]
    assert seen[0] > 0.9 * seen[-1]


def test_two_worlds_of_one_seed_give_the_same_report(shared: TestClient) -> None:
    args = (["date", "landingPage", "sessionSource"], ["sessions", "totalUsers", "totalRevenue"])
    other = signed_in(make_world())
    report(other, ["date"], ["sessions"], start="2026-11-01", end="2026-11-09")
    assert report(shared, *args) == report(other, *args)


def test_requests_are_logged_by_their_dimensions_and_without_secrets(world: World, api: TestClient) -> None:
    report(api, ["date", "landingPage"], ["sessions"])
    token, asked = world.log.entries("ga4")
    assert (token["operation"], token["status"]) == ("token", 200)
    assert asked["operation"] == "runReport date,landingPage"
    assert asked["variables"]["body"]["metrics"] == [{"name": "sessions"}]
    assert api.headers["Authorization"].split(" ")[1] not in str(world.log.entries())
