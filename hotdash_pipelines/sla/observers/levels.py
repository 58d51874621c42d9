"""Observers of levels: failing checks, scores, shares of success, percentiles, a number of one's own.

Belongs here: one query a kind. Does not belong here: running checks (their stored results are read), limits (the SLAs).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hotdash_pipelines.sla.definitions.kinds import MINUTES, WINDOW_HOURS, Parameter, SlaType, observes
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.observers.looking import Looking
from hotdash_pipelines.sla.observers.reading import Unseen, all_rows, reading, see_all_rows

# The last verdict of each check. A check that was removed is forgotten when its last verdict leaves the window.
_CHECKS = """
select distinct on (asset, check_name)
    asset, dimension, severity, passed, element_count, unexpected_count, checked_at
from ops.check_results
where project_key = %(project)s and checked_at > %(since)s and checked_at <= %(now)s
order by asset, check_name, checked_at desc, id desc
"""
_LATENCIES = """
select asked.minutes,
    percentile_disc(0.95) within group (order by queries.latency_ms),
    count(queries.latency_ms)
from unnest(%(minutes)s::double precision[]) as asked (minutes)
left join agent.agent_queries as queries
    on queries.created_at > %(now)s - make_interval(secs => asked.minutes * 60) and queries.created_at <= %(now)s
    and queries.latency_ms is not null
group by asked.minutes
"""
# A decision is passed on in the end or given up; attempts in between are neither.
_DECISIONS = """
select asked.hours,
    count(*) filter (where events.status = 'synced'),
    count(events.status)
from unnest(%(hours)s::double precision[]) as asked (hours)
left join agent.decision_sync_event_logs as events
    on events.created_at > %(now)s - make_interval(secs => asked.hours * 3600) and events.created_at <= %(now)s
    and events.status in ('synced', 'failed')
group by asked.hours
"""
_CHECKS_HOURS = 48.0
_MINUTES = 15.0
_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class _Check:
    asset: str
    dimension: str
    severity: str
    passed: bool
    rows: int | None
    broken: int | None
    checked_at: datetime

    @property
    def score(self) -> float:
        """Percent of the rows that keep the rule, all or nothing for a check that does not count them.

        A check that failed never scores as whole, however many rows it looked at.
        """
        if self.passed and not self.broken:
            return 100.0
        if self.rows and self.broken is not None and self.broken <= self.rows:
            return 100.0 * (self.rows - self.broken) / self.rows if self.broken else 0.0
        return 100.0 if self.passed else 0.0


@observes(
    SlaType(
        name="check_status",
        kind="level",
        units=("count",),
        title="checks fail",
        cause="correctness",
        counts="failing",
        params=(Parameter("severity"), WINDOW_HOURS),
    )
)
def check_status(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """How many checks of a dataset fail as last evaluated; those that stop a run unless `severity: any`."""
    checks = _stored(definitions, looking)
    for definition in definitions:
        own = _own(definition, checks, looking)
        wanted = ("error", "warn") if definition.params.get("severity") == "any" else ("error",)
        failing = sum(not check.passed and check.severity in wanted for check in own)
        yield Observation(definition.name, value=failing if own else None, details={"samples": len(own)})


@observes(
    SlaType(
        name="check_rate",
        kind="level",
        units=("percent",),
        title="too many checks fail",
        comparison="at_least",
        cause="correctness",
        params=(Parameter("dimension", is_needed=True), WINDOW_HOURS),
    )
)
def check_rate(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """The score of a dimension: the mean over its checks, each with the share of rows that keep its rule."""
    checks = _stored(definitions, looking)
    for definition in definitions:
        dimension = definition.params["dimension"]
        own = [check for check in _own(definition, checks, looking) if check.dimension == dimension]
        score = sum(check.score for check in own) / len(own) if own else None
        details = {"samples": len(own), "failing": sum(check.score < 100 for check in own)}
        yield Observation(definition.name, value=score, details=details)


@observes(
    SlaType(
        name="latency_p95",
        kind="level",
        units=("ms",),
        title="too slow",
        params=(Parameter("window_minutes", largest=5_256_000.0),),
    )
)
def latency_p95(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """What 95 % of the support agent's queries of the last `window_minutes` kept within, in milliseconds."""
    windows = _windowed(definitions, looking, "window_minutes", _MINUTES, "agent.agent_queries", _of_latencies)
    for definition in definitions:
        value, samples = windows[_number(definition, "window_minutes", _MINUTES)]
        yield Observation(definition.name, value=value, details={"samples": samples})


@observes(
    SlaType(
        name="availability",
        kind="level",
        units=("percent",),
        title="not available often enough",
        comparison="at_least",
        asks="runs",
        params=(Parameter("of", is_needed=True), WINDOW_HOURS, Parameter("job")),
    )
)
def availability(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """Percent that succeeded over the last `window_hours`: `of: decisions` passed on, or `of: runs` of Dagster."""
    of_decisions = [one for one in definitions if one.params["of"] == "decisions"]
    windows = (
        _windowed(of_decisions, looking, "window_hours", _HOURS, "agent.decision_sync_event_logs", _of_decisions)
        if of_decisions
        else {}
    )
    for definition in definitions:
        what, hours = definition.params["of"], _number(definition, "window_hours", _HOURS)
        if what == "decisions":
            good, all_ = windows[hours]
        elif what == "runs":
            good, all_ = _of_runs(definition, hours, looking)
        else:
            reason = f"nothing is known of {what}: known are decisions, runs"
            yield Observation(definition.name, unknown_reason=reason)
            continue
        yield Observation(definition.name, value=100.0 * good / all_ if all_ else None, details={"samples": all_})


@observes(
    SlaType(
        name="sql",
        kind="level",
        units=("count", "percent", *MINUTES, "ms"),
        title="outside of its limit",
        comparison=None,
        may_be_negative=True,
        params=(Parameter("query", is_needed=True),),
    )
)
def sql(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """The one number that `query` returns. It may use %(now)s and %(project)s; each has a transaction of its own."""
    for definition in definitions:
        try:
            yield Observation(definition.name, value=_one_number(definition, looking))
        except Unseen as unseen:
            details = {"cause": unseen.cause} if unseen.cause else {}
            yield Observation(definition.name, unknown_reason=unseen.reason, details=details)


def _stored(definitions: Iterable[Definition], looking: Looking) -> list[_Check]:
    hours = max(_number(definition, "window_hours", _CHECKS_HOURS) for definition in definitions)
    values = {"project": looking.project, "now": looking.now, "since": looking.now - timedelta(hours=hours)}
    return [_Check(*row) for row in all_rows(looking.conn, _CHECKS, values)]


def _own(definition: Definition, checks: Iterable[_Check], looking: Looking) -> list[_Check]:
    since = looking.now - timedelta(hours=_number(definition, "window_hours", _CHECKS_HOURS))
    is_whole = "/" not in definition.dataset
    return [check for check in checks if check.checked_at > since and (is_whole or check.asset == definition.dataset)]


def _windowed(
    definitions: Sequence[Definition],
    looking: Looking,
    parameter: str,
    usual: float,
    table: str,
    rows: Callable[[Any, dict[str, Any]], list[Any]],
) -> dict[float, Any]:
    """By length of the window, for all lengths in one query."""
    lengths = sorted({_number(definition, parameter, usual) for definition in definitions})
    with reading(looking.conn) as conn:
        see_all_rows(conn, [table])
        return {
            length: (value, samples)
            for length, value, samples in rows(conn, {"now": looking.now, parameter.removeprefix("window_"): lengths})
        }


def _of_latencies(conn: Any, values: dict[str, Any]) -> list[Any]:
    return conn.execute(_LATENCIES, values).fetchall()


def _of_decisions(conn: Any, values: dict[str, Any]) -> list[Any]:
    return conn.execute(_DECISIONS, values).fetchall()


def _of_runs(definition: Definition, hours: float, looking: Looking) -> tuple[int, int]:
    if looking.facts.failure is not None:
        raise Unseen(looking.facts.failure, "dagster")
    since, job = looking.now - timedelta(hours=hours), definition.params.get("job")
    ended = [run for run in looking.facts.runs if run.ended_at > since and job in (None, run.job)]
    return sum(run.succeeded for run in ended), len(ended)


def _one_number(definition: Definition, looking: Looking) -> Decimal | float | None:
    with reading(looking.conn) as conn:
        cursor = conn.execute(
            str(definition.params["query"]).encode(), {"now": looking.now, "project": looking.project}
        )
        rows = cursor.fetchmany(2) if cursor.description else []
    if len(rows) != 1 or len(rows[0]) != 1:
        raise Unseen("its query must return one row with one number")
    (value,) = rows[0]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | Decimal)):
        raise Unseen(f"its query must return a number, not {type(value).__name__}")
    return value


def _number(definition: Definition, parameter: str, usual: float) -> float:
    return float(str(definition.params.get(parameter, usual)))
