"""How well the schema in a database is protected, read from its catalogue.

Belongs here: what a lint and a finding are, and running them all. Does not belong here: the lints (lint_rights.py,
lint_policies.py), whether files and database agree (warehouse/schema/checks.py).

Every schema that is not the server's own is looked at. Lints see declared rights and attributes; a superuser, and the
owner of the objects, can do everything whatever they say.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.postgres import WarehouseError

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Lint:
    """One way to leave a door open.

    `find` gives (object, detail) of each place. `problem` and `remedy` are sentences with {object} and {detail}.
    """

    id: str
    problem: str
    remedy: str
    find: "Callable[[psycopg.Connection[Any]], Iterable[tuple[str, str | None]]]"


@dataclass(frozen=True)
class Finding:
    """One open door: the lint's id, where, what is wrong with it, what to do."""

    id: str
    object: str
    problem: str
    remedy: str


def lints() -> tuple[Lint, ...]:
    """Every lint, in the order of their findings."""
    from hotdash_pipelines.warehouse.access.lint_policies import POLICY_LINTS
    from hotdash_pipelines.warehouse.access.lint_rights import RIGHTS_LINTS

    return (*RIGHTS_LINTS, *POLICY_LINTS)


def lint(conn: "psycopg.Connection[Any]") -> list[Finding]:
    """Every open door of a database. Changes nothing.

    Raises WarehouseError for a database without our schema: nothing to find there is no good news.
    """
    if conn.execute("select to_regclass('ops.schema_migrations') is null").fetchone() == (True,):
        raise WarehouseError("this database has no schema of ours to look at: run `hotdash schema migrate`")
    findings = []
    with conn.transaction(force_rollback=True):
        # Names come out with their schema only while it stands in no search path.
        conn.execute("set local search_path = pg_catalog")
        for rule in lints():
            for found, detail in rule.find(conn):
                words = {"object": found, "detail": detail or ""}
                findings.append(Finding(rule.id, found, rule.problem.format(**words), rule.remedy.format(**words)))
    return findings
