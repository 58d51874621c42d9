"""GA4's reports as rough as Google sends them: what is read, counted and told is the world's own."""

import re
from decimal import Decimal

import pytest

from hotdash_pipelines.cli import doctor
from hotdash_pipelines.contracts.parse import parse_pages
from hotdash_pipelines.demo.credentials import write_endpoint_file
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources import counter
from hotdash_pipelines.sources.ga4 import client as ga4

from .conftest import contract_of

KEY = "2026-11-16"
STREAMS = ("traffic_daily", "landing_daily")


@pytest.fixture
def rough(bench):
    """Sets the roughness of the world; what it was comes back afterwards."""
    shop = bench.store.world.shop
    before = shop.roughness

    def become(text):
        shop.roughness = Roughness.read(text)

    become("calm")
    yield become
    shop.roughness = before


def parsed(bench, stream):
    contract = contract_of("ga4", stream)
    found = parse_pages(contract, bench.fetch("ga4", stream, KEY).pages)
    assert (found.bad_pages, found.rejected) == ([], [])
    return found.tables[stream]


def cells(bench, key=KEY):
    return bench.store.world.traffic.day(bench.window(key).day).values()


def truth(bench):
    """What every breakdown of the day adds up to."""
    return (
        sum(cell.sessions for cell in cells(bench)),
        sum(cell.purchases for cell in cells(bench)),
        Decimal(sum(cell.revenue_cents for cell in cells(bench))) / 100,
    )


def told(table):
    return tuple(sum(table[name].to_pylist()) for name in ("sessions", "purchases", "revenue_amount"))


def figures(bench, stream):
    return [value["value"] for row in bench.records(bench.fetch("ga4", stream, KEY)) for value in row["metricValues"]]


@pytest.mark.parametrize("stream", STREAMS)
def test_numbers_spelled_as_doubles_are_the_numbers_that_they_are(bench, rough, stream):
    plain = parsed(bench, stream)
    rough("calm,+double_figures=1")
    spelled = figures(bench, stream)
    for form in (r"\d+\.0", r"\d\.\d+E\d+", r"\d+\.\d{10,}"):
        assert any(re.fullmatch(form, one) for one in spelled), form
    table = parsed(bench, stream)
    assert table.equals(plain)
    assert told(table) == truth(bench)


@pytest.mark.parametrize("stream", STREAMS)
def test_rows_folded_into_other_still_add_up_and_are_flagged(bench, rough, stream):
    whole = parsed(bench, stream)
    rough("calm,+folded_rows=1,+sampled_reports=1")
    fetched = bench.fetch("ga4", stream, KEY)
    assert fetched.notes["has_other_row"] is True
    assert fetched.notes["sampled_share"] == 0.25
    table = parsed(bench, stream)
    assert 1 < table.num_rows < whole.num_rows
    assert set(table["has_other_row"].to_pylist()) == {True}
    assert "(other)" in table["channel_group"].to_pylist()
    assert told(table) == told(whole) == truth(bench)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_day_of_several_pages_is_read_whole(bench, rough, monkeypatch, stream):
    whole = parsed(bench, stream)
    monkeypatch.setattr(ga4, "ROWS_A_PAGE", whole.num_rows // 3)
    monkeypatch.setattr(ga4.Ga4Client._report, "__defaults__", (whole.num_rows // 3,))
    fetched = bench.fetch("ga4", stream, KEY)
    assert len(fetched.pages) == 4
    assert parse_pages(contract_of("ga4", stream), fetched.pages).tables[stream].equals(whole)


def counted(bench, stream, keys):
    count = counter("ga4", stream)
    assert count is not None
    return count(bench.client("ga4"), contract_of("ga4", stream), [bench.window(key) for key in keys])


@pytest.mark.parametrize(("stream", "figure"), [("traffic_daily", "new_users"), ("landing_daily", "views")])
def test_the_dates_are_counted_apart_from_the_rows_in_one_request(bench, rough, stream, figure):
    keys = [f"2026-11-{day}" for day in range(10, 20)]
    bench.store.log.clear()
    answer = counted(bench, stream, keys)
    assert answer == {key: sum(getattr(cell, figure) for cell in cells(bench, key)) for key in keys}
    assert min(answer.values()) > 0
    asked = [entry for entry in bench.store.log.entries("ga4") if entry["operation"].startswith("runReport")]
    assert [entry["operation"] for entry in asked] == ["runReport date"]
    assert counted(bench, stream, ["2027-01-01"]) == {"2027-01-01": 0}


def test_what_google_withholds_is_missing_from_the_rows_and_not_from_the_count(bench, rough):
    stream = "landing_daily"
    rough("calm,+withheld_rows=1")
    fetched = bench.fetch("ga4", stream, KEY)
    assert fetched.notes["is_thresholded"] is True
    contract = contract_of("ga4", stream)
    assert sum(parsed(bench, stream)[contract.counts].to_pylist()) < counted(bench, stream, [KEY])[KEY]


def test_a_total_that_google_withholds_is_no_count(bench, rough):
    bench.store.scenarios.add("truncated_page", "ga4", "runReport", 1, kind="thresholding", min_users=10**6)
    assert counted(bench, "traffic_daily", [KEY]) == {KEY: None}


@pytest.fixture
def found(bench, tmp_path, monkeypatch):
    """What the doctor finds of GA4, as (is fine, is fatal, finding, advice)."""
    write_endpoint_file(tmp_path / "demo" / "endpoint.json", bench.store.endpoint())
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))

    def examine():
        monkeypatch.setattr(doctor, "_packages", lambda: ())
        settings = Settings()
        source = doctor_source()
        return [(one.is_fine, one.is_fatal, one.finding, one.advice) for one in doctor._source(settings, source)]

    return examine


def doctor_source():
    from hotdash_pipelines.sources import all_sources

    return all_sources()["ga4"]


def test_a_property_that_is_well_is_told_with_its_zone_and_quota(bench, found):
    ((is_fine, _, finding, _),) = found()
    assert is_fine
    assert re.fullmatch(r"property 424242, America/New_York, (9\d|100)% of \w+ left", finding), finding


def test_a_property_of_another_time_zone_is_told(bench, found):
    face = bench.store.world.extra["ga4"]
    for zone, is_told in (("America/Los_Angeles", True), ("Etc/GMT+5", True), ("US/Eastern", False)):
        face.time_zone = zone
        findings = found()
        assert [one for one in findings if zone in one[2] and not one[0]] == ([findings[1]] if is_told else [])
        if is_told:
            assert findings[1][1] is False
            assert "reporting time zone" in findings[1][3]
    face.time_zone = "America/New_York"


def test_a_property_that_does_not_list_the_account_is_told(bench, found):
    face = bench.store.world.extra["ga4"]
    face.has_access = False
    ((is_fine, _, finding, _),) = found()
    face.has_access = True
    assert not is_fine
    assert "add its address as a viewer" in finding


@pytest.mark.parametrize("left", [0, 3])
def test_a_quota_that_is_used_up_is_told_with_when_it_returns(bench, found, left):
    quota = bench.store.world.extra["ga4"].quota
    quota.spend("tokensPerHour", quota.limits["tokensPerHour"] - left)
    findings = found()
    assert [one[1] for one in findings if not one[0]] == [False]
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:00 UTC", findings[-1][2])
