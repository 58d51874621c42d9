"""`hotdash performance`: what slows the warehouse down, and the indexes that it lacks.

Belongs here: showing advice, and the guard before indexes are built.
Does not belong here: the advice (warehouse.advice).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.db import warehouse
from hotdash_pipelines.cli.output import Env, Json, Yes, note, refuse_production, say

if TYPE_CHECKING:
    from hotdash_pipelines.warehouse.advice.apply import Built
    from hotdash_pipelines.warehouse.advice.model import AdviceReport, MissingIndex

app = typer.Typer(help="Find what slows the warehouse down, and build missing indexes.", no_args_is_help=True)


@app.command()
def analyze(
    as_json: Json = False,
    statistics_days: Annotated[
        float, typer.Option(min=0, help="Call an index unused only when statistics are at least this many days old.")
    ] = 7,
    calls_a_day: Annotated[
        float, typer.Option(min=0, help="Leave out statements that run less often a day: they are batches.")
    ] = 5,
) -> None:
    """Look for slow queries, unused, redundant and missing indexes, policies that no index serves, neglected tables.

    Changes nothing. A query is a warning over 50 ms on average and critical over 200 ms. Exit code 1 with findings.
    """
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.advice.advise import analyze as look
    from hotdash_pipelines.warehouse.advice.model import Limits

    limits = Limits(statistics_days=statistics_days, calls_a_day=calls_a_day)
    report = look(warehouse(), get_settings().now(), limits)
    if as_json:
        say(report.as_dict(), (), as_json)
    else:
        _show(report)
    if report.findings:
        raise typer.Exit(1)


@app.command()
def optimize(
    auto_index: Annotated[
        bool, typer.Option("--auto-index", help="Print the DDL of indexes that foreign keys and policies lack.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Build them, concurrently: readers and writers go on meanwhile.")
    ] = False,
    env: Env = None,
    yes: Yes = False,
    lock_timeout: Annotated[
        int, typer.Option(min=1, help="Seconds to wait for other sessions before an index is given up.")
    ] = 30,
    as_json: Json = False,
) -> None:
    """Print the indexes that are missing as SQL; build them with `--apply`. Never drops an index that works.

    Exit code 1 while an index is missing or could not be built, 3 in production without `--yes`.
    """
    from hotdash_pipelines.warehouse.advice.advise import find_missing_indexes

    if not auto_index:
        raise typer.BadParameter("say what to optimize", param_hint="--auto-index")
    if apply and not yes:
        refuse_production("this would build indexes in production: add --yes to go on", env)
    url = warehouse()
    missing = find_missing_indexes(url)
    results = _build(url, missing, lock_timeout) if apply else []
    say(_as_dict(missing, results), _indexes(missing, results), as_json)
    if missing and not (results and all(result.state == "created" for result in results)):
        raise typer.Exit(1)


def _build(url: str, missing: "list[MissingIndex]", lock_timeout: int) -> "list[Built]":
    from hotdash_pipelines.warehouse.advice.apply import build

    results = []
    for result in build(url, missing, note, lock_timeout):
        note(f"{result.index.name}: {result.state}{f': {result.note}' if result.note else ''}")
        results.append(result)
    return results


def _show(report: "AdviceReport") -> None:
    from rich.console import Console

    console = Console()

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    if report.findings:
        line(f"{'SEVERITY':10}{'FINDING':18}OBJECT", "bold")
    for finding in report.findings:
        colour = "red" if finding.severity == "critical" else "yellow"
        line(f"{finding.severity:10}{finding.kind:18}{finding.object}", colour)
        line(f"{'':10}{'measured':18}{finding.measured}")
        line(f"{'':10}{'remedy':18}{finding.remedy}")
        if finding.ddl:
            line(f"{'':28}{finding.ddl};")
    for remark in report.notes:
        line(f"note      {remark}", "dim")
    critical = sum(finding.severity == "critical" for finding in report.findings)
    since = f"since {report.statistics_since:%Y-%m-%d %H:%M} UTC" if report.statistics_since else "of unknown age"
    line(
        f"{len(report.findings)} findings, {critical} critical, in {report.tables} tables of Postgres {report.server}; "
        f"statistics {since}"
    )


def _indexes(missing: "list[MissingIndex]", results: "list[Built]") -> Iterator[str]:
    created = {result.index.name for result in results if result.state == "created"}
    if not missing:
        yield "-- no index is missing"
    for index in missing:
        for reason in index.reasons:
            yield f"-- {index.table.qualified}: {reason}"
        if index.ddl is None:
            yield f"-- {', '.join(index.columns)}: partitioned, build it on each partition, then on the table"
        else:
            yield f"{index.ddl};{' -- created' if index.name in created else ''}"


def _as_dict(missing: "list[MissingIndex]", results: "list[Built]") -> dict[str, Any]:
    built = {(result.index.table.oid, result.index.name): result for result in results}

    def entry(index: "MissingIndex") -> dict[str, Any]:
        result = built.get((index.table.oid, index.name))
        return {
            "name": index.name,
            "table": index.table.qualified,
            "columns": list(index.columns),
            "reasons": list(index.reasons),
            "ddl": index.ddl,
            "state": result.state if result else "missing",
            "note": result.note if result else "",
        }

    return {"applied": bool(results), "indexes": [entry(index) for index in missing]}
