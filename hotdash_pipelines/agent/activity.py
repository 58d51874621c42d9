"""The demo's agent activity: read from the stand-in store by day, written into the support agent's tables.

Belongs here: asking for a day, writing it once. Does not belong here: what happened on it (the stand-in decides), which
days are wanted (cli, the schedule).

A written day leaves a log line with its own request id. Log lines are never changed, so a day is never written twice,
not even after its other rows were cleaned up: the facts and events of that day are still there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.agent.rows import AUDIT, CHANGEABLE, MARK, TABLES, AgentDataError, insert, one_writer
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg

_TIMEOUT_S = 60.0
_NOT_OVER = 409


@dataclass(frozen=True)
class Activity:
    """What the agent did on one business day: rows by table, instants in ISO 8601; facts lack their project."""

    day: str
    rows: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def starts_at(self) -> datetime | None:
        """The first instant, None on a day without activity."""
        moments = [datetime.fromisoformat(row["created_at"]) for rows in self.rows.values() for row in rows]
        return min(moments, default=None)


@dataclass
class Written:
    """What came of a call: days by outcome, and rows by table."""

    days: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    not_over: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())

    def describe(self) -> str:
        """One line for people."""
        if self.days:
            return f"wrote {self.total:,} rows of simulated activity, {self.days[0]} to {self.days[-1]}"
        reasons = ((self.before, "written before"), (self.empty, "without activity"), (self.not_over, "not over yet"))
        return "nothing new: " + ", ".join(f"{len(days)} days {reason}" for days, reason in reasons if days)


Read = Callable[[str], Activity | None]


def read_from(base_url: str) -> Read:
    """A function that asks the stand-in store for one day: None when the day is not over there.

    It raises AgentDataError when the store does not answer or answers something else.
    """
    import httpx

    # The store is on loopback: a proxy of the environment must not come between.
    client = httpx.Client(base_url=base_url, timeout=_TIMEOUT_S, trust_env=False)

    def read(day: str) -> Activity | None:
        try:
            response = client.get("/_agent/activity", params={"day": day})
            if response.status_code == _NOT_OVER:
                return None
            response.raise_for_status()
            document = response.json()
            if document["day"] != day or set(document["rows"]) != set(TABLES):
                raise ValueError(document["day"])
        except httpx.HTTPStatusError as error:
            raise AgentDataError(
                f"the stand-in store answered {error.response.status_code} for the agent's {day}: "
                "start the one of this version with `hotdash demo serve`"
            ) from error
        except httpx.HTTPError as error:
            raise AgentDataError(
                f"no stand-in store answers at {base_url} ({type(error).__name__}): start it with `hotdash demo serve`"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise AgentDataError(
                f"what answers at {base_url} is no stand-in store of this version: start it with `hotdash demo serve`"
            ) from error
        return Activity(day, document["rows"])

    return read


def write_days(url: str, read: Read, days: Sequence[str], project: str, now: datetime) -> Written:
    """Write the days that were never written, oldest first, each in one transaction; `now` stamps the log lines.

    Safe to repeat, to kill at any point and to run twice at once. Raises AgentDataError.
    """
    done = Written()
    with connect(url, autocommit=True) as conn:
        with one_writer(conn):
            known = _written(conn, days)
        for day in sorted(days):
            activity = None if day in known else read(day)
            if day in known:
                done.before.append(day)
            elif activity is None:
                done.not_over.append(day)
            elif not any(activity.rows.values()):
                done.empty.append(day)
            elif (counts := write_day(conn, activity, project, now)) is None:
                done.before.append(day)
            else:
                done.days.append(day)
                for table, count in counts.items():
                    done.rows[table] += count
    return done


def write_day(
    conn: "psycopg.Connection[Any]", activity: Activity, project: str, now: datetime
) -> dict[str, int] | None:
    """Write one day in one transaction; rows by table, None when it was written before.

    What nobody has answered by then, of days before the day before, expires.
    """
    with one_writer(conn):
        if _written(conn, [activity.day]):
            return None
        _expire_unanswered(conn, activity)
        counts = {}
        for table in (*CHANGEABLE, *AUDIT):
            rows = activity.rows[table]
            counts[table] = insert(
                conn, table, [{**row, "project": project} for row in rows] if table == "facts" else rows, "demo"
            )
            reach("agent.table_written")
        line = {
            "level": "INFO",
            "message": "a simulated day was written",
            "request_id": _request_id(activity.day),
            "metadata": {"rows": counts},
            "created_at": now.astimezone(UTC).isoformat(),
        }
        counts["observability_logs"] += insert(conn, "observability_logs", [line], "demo")
        reach("agent.before_commit")
    reach("agent.after_commit")
    return counts


def _request_id(day: str) -> str:
    return f"demo-day-{day}"


def _written(conn: "psycopg.Connection[Any]", days: Sequence[str]) -> set[str]:
    rows = conn.execute(
        "select request_id from agent.observability_logs where request_id = any(%s) and metadata ->> %s = 'demo'",
        ([_request_id(day) for day in days], MARK),
    ).fetchall()
    ids = {request_id for (request_id,) in rows}
    return {day for day in days if _request_id(day) in ids}


def _expire_unanswered(conn: "psycopg.Connection[Any]", activity: Activity) -> None:
    """When a day is over, the day after the approvals of earlier days is over as well: they have run out."""
    conn.execute(
        "update agent.agent_approvals set status = 'expired' "
        "where status = 'pending' and created_at < %s and serialized ->> %s = 'demo'",
        (activity.starts_at, MARK),
    )
