"""A record played again tells what the ticks themselves would have told, in time."""

import time
from datetime import timedelta

import pytest

from benchmarks.sla import START, company, observations, walk, worst_tick
from hotdash_pipelines.sla import Observation, SlaError, simulate, tick
from tests.unit.sla.story import MIDNIGHT, STEP, at, sla

LATENCY = sla("answers", "latency_p95", target=200)


def play(record: list[tuple[int, float]], ticks: int, **more: object) -> list[tuple[str, float]]:
    """Kind and tick of what a record of (tick, value) tells."""
    recorded = ((MIDNIGHT + number * STEP, Observation("answers", value)) for number, value in record)
    end = MIDNIGHT + ticks * STEP
    return [
        (event.kind, (now - MIDNIGHT) / STEP)
        for now, done in simulate([LATENCY], recorded, {}, MIDNIGHT, end, STEP, **more)
        for event in done.events
    ]


def test_a_record_holds_until_the_next_one() -> None:
    assert play([(0, 100), (3, 250), (9, 100)], 20) == [("opened", 3), ("resolved", 9)]


def test_a_record_that_ended_is_not_knowing_and_not_being_fine() -> None:
    stale = {"stale_after": timedelta(minutes=15)}
    assert play([(0, 100)], 40) == []
    assert play([(0, 100)], 40, **stale) == [("opened", 10)]
    assert play([(0, 250), (1, 250)], 40, **stale) == [("opened", 0)]


def test_a_record_out_of_order_and_a_step_of_no_length_are_refused() -> None:
    with pytest.raises(SlaError, match="out of order"):
        play([(3, 100), (1, 100)], 20)
    with pytest.raises(SlaError, match="step"):
        next(simulate([LATENCY], [], {}, MIDNIGHT, MIDNIGHT, timedelta(0)))


def test_a_simulation_of_months_forgets_the_partitions_that_came_and_keeps_the_one_that_did_not() -> None:
    definition = sla()

    def record():
        for day in range(90):
            if day != 5:
                partition = (MIDNIGHT + timedelta(days=day - 1)).date().isoformat()
                yield at("04:30", day), Observation("orders_by_six", at=at("04:30", day), partition=partition)

    walked = list(simulate([definition], record(), {}, at("04:30"), at("12:30", 89), timedelta(hours=1)))
    events = [event for _, done in walked for event in done.events]
    assert [(event.kind, event.partition) for event in events] == [("opened", "2026-02-14")]
    assert {partition for _, partition in walked[-1][1].states} == {"2026-02-14", "2026-05-09"}


def test_the_states_of_a_simulation_go_on_where_ticks_stopped() -> None:
    before = tick([LATENCY], {}, [Observation("answers", 250)], {}, MIDNIGHT).states
    assert play([(1, 250), (2, 100)], 3, states=before) == [("resolved", 2)]


def test_a_simulation_tells_what_ticks_one_by_one_tell() -> None:
    made = company(40, 4)
    end = START + timedelta(days=4)
    step = timedelta(minutes=30)
    told = [
        event
        for _, done in simulate(made.definitions, observations(made, 4), made.upstream, START, end, step)
        for event in done.events
    ]
    record = sorted(observations(made, 4), key=lambda entry: entry[0])
    states: dict = {}
    one_by_one = []
    now = START
    while now <= end:
        seen = {(entry.name, entry.partition or ""): entry for at, entry in record if at <= now}
        done = tick(made.definitions, states, seen, made.upstream, now)
        states = done.states
        one_by_one += done.events
        now += step
    assert len(told) > 20
    assert told == one_by_one


def test_a_share_of_ninety_days_of_a_thousand_slas_takes_its_share_of_a_minute() -> None:
    # A fiftieth of 8.6 million verdicts in a fiftieth of 60 s of processor time, three times over for slow machines.
    began = time.process_time()
    walked = walk(200, 9, 15)
    assert walked.verdicts >= 1000 * 90 * 96 / 50
    assert walked.events["opened"] > 50
    assert time.process_time() - began < 3 * 60 / 50


def test_a_tick_over_200_slas_that_all_break_at_once_takes_less_than_a_second() -> None:
    assert worst_tick(200, rounds=3) < 1.0
