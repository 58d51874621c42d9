"""`hotdash contracts`: what the sources promised, and what is generated from it.

Belongs here: listing contracts and writing the dbt sources. Does not belong here: the contracts themselves.
"""

import typer

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.cli.output import Check

app = typer.Typer(help="The contracts of the ingested streams.", no_args_is_help=True)


@app.command("list")
def list_contracts() -> None:
    """One line a stream: tables, key, cursor and how late it may be."""
    from rich.console import Console
    from rich.table import Table

    from hotdash_pipelines.contracts import load_contracts

    table = Table("stream", "version", "semantics", "tables", "key", "cursor", "late after")
    for contract in load_contracts():
        names = ", ".join(entry.name for entry in contract.tables)
        table.add_row(
            f"{contract.source}/{contract.stream}",
            str(contract.version),
            contract.semantics,
            names,
            ", ".join(contract.table.key),
            contract.cursor or "",
            f"{contract.late_after_hours} h",
        )
    Console().print(table)


@app.command("dbt-sources")
def dbt_sources(check: Check = False) -> None:
    """Write dbt's source files from the contracts."""
    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.contracts.dbt_sources import render_sources
    from hotdash_pipelines.settings import PROJECT_ROOT

    stale = []
    for relative, text in render_sources(load_contracts()).items():
        path = PROJECT_ROOT / relative
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(relative))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check and stale:
        raise HotdashError(f"out of date: {', '.join(stale)}; run `hotdash contracts dbt-sources`")
    print(f"written: {', '.join(stale)}" if stale else "up to date")
