"""How well the schema in a database is protected, read from its catalogue.

Belongs here: running them all. Does not belong here: what a lint is (lint_model.py), the lints (lint_rights.py,
lint_policies.py), whether files and database agree (warehouse/schema/checks.py).

Every schema that is not the server's own is looked at. Lints see declared rights and attributes; a superuser, and the
owner of the objects, can do everything whatever they say.
"""

from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.access.lint_model import Lint, LintFinding
from hotdash_pipelines.warehouse.access.lint_policies import POLICY_LINTS
from hotdash_pipelines.warehouse.access.lint_rights import RIGHTS_LINTS
from hotdash_pipelines.warehouse.postgres import WarehouseError

if TYPE_CHECKING:
    import psycopg


def lints() -> tuple[Lint, ...]:
    """Every lint, in the order of their findings."""
    return (*RIGHTS_LINTS, *POLICY_LINTS)


def lint(conn: "psycopg.Connection[Any]") -> list[LintFinding]:
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
            for place, detail in rule.find(conn):
                words = {"object": place, "detail": detail or ""}
                findings.append(LintFinding(rule.id, place, rule.problem.format(**words), rule.remedy.format(**words)))
    return findings
