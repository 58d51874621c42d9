"""Running a suite: Great Expectations asks Postgres, and what comes back is reduced to counts.

Belongs here: the proof that the role sees every row, the call of GX, reading its results.
Does not belong here: the suites themselves (suites.py), storing findings (results.py), Dagster.
GX takes seconds and hundreds of megabytes to import, so only `run_suite` imports it.
"""

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.quality.results import PROJECT_KEY, CheckFinding, QualityError
from hotdash_pipelines.quality.suites import ROWS_QUERY, Expectation, Suite

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

# Counts only: GX would otherwise quote the offending values.
_RESULT_FORMAT = {"result_format": "BASIC", "exclude_unexpected_values": True, "partial_unexpected_count": 0}
# With row_security off a policy that would hide rows raises an error instead; nothing is written by a check.
_SESSION = "-c row_security=off -c timezone=UTC -c default_transaction_read_only=on -c application_name=hotdash-quality"
_ERROR_CLASS = re.compile(r"\((?:psycopg2|sqlalchemy)[\w.]*\.(\w+)\)|^(\w+(?:Error|Exception))\b")
_JOIN = re.compile(r"\bjoin\b", re.IGNORECASE)

# GX keeps the current context in a global of the process.
_one_suite_at_a_time = Lock()


@dataclass(frozen=True)
class _Visible:
    """What the role sees of the table: its columns and the project's rows."""

    columns: frozenset[str]
    rows: int


def run_suite(
    suite: Suite, url: str, selected: set[str] | None, project_key: str, *, now: datetime | None = None
) -> list[CheckFinding]:
    """Run the selected checks of a suite on the project's rows; one finding for each, in the suite's order.

    `selected` holds check names, None means all. `now` is needed by suites with timeliness checks.
    A check that raised, or that GX gave no result for, is a failed finding. Raises QualityError when nothing can be
    said: the table is missing, or row-level security hides rows from the role.
    """
    chosen = suite.select(selected)
    if not PROJECT_KEY.match(project_key):
        raise ValueError(f"{project_key!r} is no project key")
    if not chosen:
        return []
    arguments = {expectation.check: expectation.kwargs_at(now) for expectation in chosen}
    visible = _prove_all_rows_are_visible(suite, url, project_key)
    possible = [expectation for expectation in chosen if not set(expectation.columns) - visible.columns]
    results = _validate(suite, url, project_key, [_for_gx(found, arguments[found.check]) for found in possible])
    return [_finding(suite, expectation, visible, results.get(expectation.check)) for expectation in chosen]


def _prove_all_rows_are_visible(suite: Suite, url: str, project_key: str) -> _Visible:
    """Most expectations pass on no rows, so a role that sees only some of them would find everything in order."""
    from psycopg import sql

    from hotdash_pipelines.warehouse.postgres import connect

    table = sql.Identifier(suite.schema, suite.table)
    with connect(url) as connection:
        connection.execute("set transaction read only")
        registered = connection.execute("select to_regclass(%s)::oid", (table.as_string(connection),)).fetchone()
        oid = registered[0] if registered else None
        if oid is None:
            raise QualityError(f"{suite.name} does not exist: materialise {suite.asset} before its checks")
        seen = connection.execute("select row_security_active(%s::oid), current_user", (oid,)).fetchone()
        hidden, role = seen or (True, "")
        if hidden:
            raise QualityError(
                f"row-level security hides rows of {suite.name} from role {role}, so checks would pass unseen: "
                "run them as the owner of the tables or as a role with BYPASSRLS"
            )
        columns = connection.execute(
            "select attname from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped", (oid,)
        ).fetchall()
        counted = connection.execute(
            sql.SQL("select count(*) from {} where project_key = %s").format(table), (project_key,)
        ).fetchone()
    return _Visible(frozenset(name for (name,) in columns), counted[0] if counted else 0)


def _for_gx(expectation: Expectation, kwargs: dict[str, Any]) -> dict[str, Any]:
    query = kwargs.get(ROWS_QUERY, "")
    if _JOIN.search(query):
        # Only there GX gives the batch no alias, and Postgres asks for one before version 16.
        kwargs = {**kwargs, ROWS_QUERY: query.replace("{batch}", "{batch} AS batch_rows")}
    return {
        "type": expectation.type,
        "kwargs": kwargs,
        "severity": expectation.severity,
        "meta": {"check": expectation.check},
    }


def _validate(
    suite: Suite, url: str, project_key: str, expectations: Sequence[dict[str, Any]]
) -> "dict[str, ExpectationValidationResult]":
    """GX's results by check name. Its own order is another one: what raised comes first."""
    if not expectations:
        return {}
    # This version has no telemetry in it; the switch is for one that has.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.core import ExpectationSuite
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.datasource.fluent.interfaces import GxDatasourceWarning

    from hotdash_pipelines.warehouse.postgres import sqlalchemy_url

    # It recommends the Postgres data source, which refuses the URL of a Unix socket.
    warnings.simplefilter("ignore", GxDatasourceWarning)
    with _one_suite_at_a_time, _silent_gx_log():
        # Ephemeral: any other context writes the connection string into a file.
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        source = context.data_sources.add_sql(
            "warehouse",
            # GX takes `$` for a variable of its own.
            connection_string=sqlalchemy_url(url).replace("$", "%24"),
            kwargs={"connect_args": {"options": _SESSION}},  # pyright: ignore[reportCallIssue]
        )
        try:
            # The names come from a validated suite and the key matched PROJECT_KEY: neither can carry a quote.
            query = f"SELECT * FROM {suite.schema}.{suite.table} WHERE project_key = '{project_key}'"  # noqa: S608
            batch = source.add_query_asset(suite.name, query=query).add_batch_definition("project").get_batch()
            asked = ExpectationSuite(name=suite.name, expectations=list(expectations))
            if len(asked.expectations) != len(expectations):
                taken = len(asked.expectations)
                raise QualityError(f"{suite.name}: Great Expectations took {taken} of {len(expectations)} entries")
            results = batch.validate(asked, result_format=_RESULT_FORMAT)
        finally:
            # Two engines: one tests the connection, the other runs the queries.
            source.get_execution_engine().close()
            source.get_engine().dispose()
    return {result.expectation_config.meta["check"]: result for result in results.results}


@contextmanager
def _silent_gx_log() -> Iterator[None]:
    """GX logs SQL and the server's errors, and those can quote values of the data."""
    # Some of its loggers set a level of their own, so the level of the root logger of GX would not silence them.
    logger = logging.getLogger("great_expectations")
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate


def _finding(
    suite: Suite, expectation: Expectation, visible: _Visible, result: "ExpectationValidationResult | None"
) -> CheckFinding:
    missing = sorted(set(expectation.columns) - visible.columns)
    broken: int | None = None
    looked_at = visible.rows
    if missing:
        passed, message = False, f"not evaluated: {suite.name} has no column {', '.join(missing)}"
    elif result is None:
        passed, message = False, "not evaluated: no result came back for this check"
    elif errors := raised_errors(result.exception_info):
        passed, message = False, f"not evaluated: the query raised {', '.join(errors)}"
    else:
        passed = bool(result.success)
        looked_at, broken = _counts(expectation, result.result or {}, visible.rows)
        message = _message(expectation, passed, looked_at, broken, (result.result or {}).get("observed_value"))
        broken = 0 if passed and broken is None else broken
    return CheckFinding(
        asset=suite.asset,
        check=expectation.check,
        dimension=expectation.dimension,
        severity=expectation.severity,
        blocking=expectation.blocking,
        passed=passed,
        type=expectation.type,
        message=message,
        element_count=looked_at,
        unexpected_count=broken,
        runbook=expectation.runbook,
    )


def _counts(expectation: Expectation, result: Mapping[str, Any], rows: int) -> tuple[int, int | None]:
    """Rows looked at and rows that broke the rule, None where the expectation does not count rows."""
    if expectation.type == "unexpected_rows_expectation":
        return rows, int(result["observed_value"])
    broken = result.get("unexpected_count")
    return int(result.get("element_count") or rows), None if broken is None else int(broken)


def _message(expectation: Expectation, passed: bool, looked_at: int, broken: int | None, observed: object) -> str:
    """What was found in one line. Text that GX observed is data of the shop and is left out."""
    if broken is not None and (broken or passed):
        sentence = f"{broken} of {looked_at} rows break it"
    elif not isinstance(observed, int | float | Decimal | date):
        sentence = f"{'met' if passed else 'not met'} over {looked_at} rows"
    else:
        sentence = f"observed {observed.isoformat() if isinstance(observed, date) else observed} over {looked_at} rows"
    return sentence if passed else f"{sentence}: {expectation.description}"


def raised_errors(exception_info: Mapping[str, Any] | None) -> list[str]:
    """Classes of the errors that GX met, without their text, which can quote data.

    GX gives one flat record when all went well, and a record for each metric when something raised.
    """
    info = exception_info or {}
    records = [info] if "raised_exception" in info else list(info.values())
    classes = set()
    for record in records:
        if isinstance(record, Mapping) and record.get("raised_exception"):
            match = _ERROR_CLASS.search(str(record.get("exception_message") or ""))
            classes.add((match[1] or match[2]) if match else "an error")
    return sorted(classes)
