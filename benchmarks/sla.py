"""The SLA engine over 90 simulated days, and a single tick.

Belongs here: a made-up company of SLAs with its troubles, measuring, the lines of results. Does not belong here: the
engine (hotdash_pipelines.sla), keeping states in Postgres.

A fifth each are deadlines, lags of events, lags of sources, latencies and rates of checks, one a table; the tables
stand in five layers, each made from two of the layer above. Each is in trouble 5 % of the time, in stretches of 1 to 24
hours. One observation an hour; the time includes making them up.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hotdash_pipelines.sla import Definition, Observation, simulate, tick, watched

LIMIT_SECONDS = 60.0
LIMIT_TICK_SECONDS = 1.0
START = datetime(2026, 1, 15, tzinfo=UTC)
_LAYERS = 5
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Company:
    """SLAs, the lineage of their tables (child -> parents), and by SLA the hours of trouble since START."""

    definitions: tuple[Definition, ...]
    upstream: dict[str, set[str]]
    troubles: dict[str, frozenset[int]]


@dataclass(frozen=True)
class Walked:
    """A simulation: ticks, verdicts, events by kind (silent ones apart), the wall clock's seconds."""

    slas: int
    days: int
    step_minutes: int
    ticks: int
    verdicts: int
    events: dict[str, int]
    seconds: float


def company(slas: int, days: int, seed: int = 7) -> Company:
    """`slas` SLAs, each in trouble for 5 % of the time in stretches of 1 to 24 hours."""
    chance = random.Random(seed)
    layers = [[f"layer_{layer}/table_{number}" for number in range(layer, slas, _LAYERS)] for layer in range(_LAYERS)]
    upstream = {
        table: set(chance.sample(above, min(2, len(above)))) for above, layer in pairwise(layers) for table in layer
    }
    tables = [table for layer in layers for table in layer]
    definitions = tuple(_definition(number, table) for number, table in enumerate(tables))
    troubles: dict[str, frozenset[int]] = {}
    for definition in definitions:
        hours: set[int] = set()
        while len(hours) < days * 24 * 0.05:
            first = chance.randrange(days * 24)
            hours.update(range(first, first + min(chance.randint(1, 24), days)))
        troubles[definition.name] = frozenset(hours)
    return Company(definitions, upstream, troubles)


def _definition(number: int, table: str) -> Definition:
    given = {
        "name": f"sla_{number}",
        "dataset": table,
        "owner": "team:data",
        "runbook": "docs/runbooks/sla-late.md",
        "zone": "America/New_York",
        "escalate": [{"after": "30m", "severity": "high"}, {"after": "2h", "severity": "critical"}],
        "quiet_hours": {"from": "22:00", "to": "07:00"},
        "maintenance": [{"from": "02:00", "to": "04:00", "days": ["sun"]}],
    }
    by_type = (
        {"type": "materialized_within", "by": "06:00"},
        {"type": "event_time_lag", "target": 180},
        {"type": "source_watermark_lag", "target": 240, "open_after": 2},
        {"type": "latency_p95", "target": 200, "open_after": 3, "resolve_after": 3},
        {"type": "check_rate", "target": 99.5, "alert_threshold": 99.7},
    )
    return Definition.model_validate(given | by_type[number % len(by_type)])


def observations(made: Company, days: int) -> Iterator[tuple[datetime, Observation]]:
    """One observation of every SLA an hour. Nothing comes to a table in trouble; partitions are made up for."""
    deadlines = [each for each in made.definitions if each.kind == "deadline"]
    missing: dict[str, list[str]] = {each.name: [] for each in deadlines}
    standing: dict[str, str] = {}
    for hour in range(days * 24):
        now = START + hour * _HOUR
        dues = watched(deadlines, {}, now)
        for definition in made.definitions:
            name, is_bad = definition.name, hour in made.troubles[definition.name]
            if definition.kind == "deadline":
                due = dues[name][-1]
                if standing.get(name) != due.partition:
                    standing[name] = due.partition
                    missing[name].append(due.partition)
                    yield now, Observation(name, partition=due.partition)
                if not is_bad and now - due.opens_at >= 4 * _HOUR:
                    yield from ((now, Observation(name, at=now, partition=late)) for late in missing[name])
                    missing[name].clear()
            elif definition.kind == "age":
                if not is_bad:
                    yield now, Observation(name, at=now)
            elif definition.type == "check_rate":
                yield now, Observation(name, 98.0 if is_bad else 100.0)
            else:
                yield now, Observation(name, 350.0 if is_bad else 120.0)


def walk(slas: int, days: int, step_minutes: int) -> Walked:
    """Simulate `days` days of `slas` SLAs, a tick every `step_minutes`."""
    made = company(slas, days)
    ticks = verdicts = 0
    events: Counter[str] = Counter()
    began = time.perf_counter()
    end = START + timedelta(days=days)
    for _, done in simulate(
        made.definitions, observations(made, days), made.upstream, START, end, timedelta(minutes=step_minutes)
    ):
        ticks += 1
        verdicts += len(done.verdicts)
        events.update(f"{event.kind}{' (silent)' if event.silent else ''}" for event in done.events)
    seconds = time.perf_counter() - began
    return Walked(slas, days, step_minutes, ticks, verdicts, dict(sorted(events.items())), seconds)


def worst_tick(slas: int, rounds: int = 20) -> float:
    """Seconds of the slowest of `rounds` ticks in which every one of `slas` SLAs breaks at once."""
    slowest = 0.0
    for seed in range(rounds):
        made = company(slas, 2, seed)
        now = START + timedelta(days=1, hours=18)
        good = [Observation(each.name, 100, at=now) for each in made.definitions]
        bad = [Observation(each.name, 0 if each.rule.at_least else 10_000) for each in made.definitions]
        before = tick(made.definitions, {}, good, made.upstream, now)
        began = time.perf_counter()
        tick(made.definitions, before.states, bad, made.upstream, now + _HOUR)
        slowest = max(slowest, time.perf_counter() - began)
    return slowest


def main() -> None:
    """Parse the arguments, measure and print. Exit code 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sla", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slas", type=int, default=1000, help="SLAs of the simulation")
    parser.add_argument("--days", type=int, default=90, help="simulated days")
    parser.add_argument("--step", type=int, default=15, help="minutes between two ticks")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the lines")
    given = parser.parse_args()
    walked = walk(given.slas, given.days, given.step)
    slowest = worst_tick(200)
    if given.json:
        sys.stdout.write(json.dumps({**vars(walked), "worst_tick_seconds": slowest}) + "\n")
    else:
        told = ", ".join(f"{count:,} {kind}" for kind, count in walked.events.items())
        sys.stdout.write(
            f"{walked.slas:,} SLAs over {walked.days} days, a tick every {walked.step_minutes} minutes: "
            f"{walked.ticks:,} ticks, {walked.verdicts:,} verdicts in {walked.seconds:.1f} s "
            f"(limit {LIMIT_SECONDS:.0f} s)\n{told}\n"
            f"a tick in which 200 SLAs break at once: {slowest * 1000:.0f} ms "
            f"(limit {LIMIT_TICK_SECONDS * 1000:.0f} ms)\n"
        )
    sys.exit(0 if walked.seconds < LIMIT_SECONDS and slowest < LIMIT_TICK_SECONDS else 1)


if __name__ == "__main__":
    main()
