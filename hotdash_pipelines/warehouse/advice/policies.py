"""Whether a tenant's read finds its rows by an index: asked of the planner, under the tenant's role.

Belongs here: EXPLAIN under a role and a claim, and reading the plan. Does not belong here: running the query.

What counts is whether the predicate can use an index at all, not whether the planner likes to: a claim that names half
of the table is rightly answered by reading the whole. So the plan is made with sequential scans made unattractive.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.advice.model import AdviceFinding, AdviceTable, Limits

if TYPE_CHECKING:
    import psycopg

# Any value does: policies are planned, not run. The names are those that the policies of the agent's tables read.
_NAMES = ("project", "scope", "request_id", "conversation_id", "sub", "role", "aud", "iss")
_CLAIMS = dict.fromkeys(_NAMES, "hotdash-performance-analyze")

# A policy for everybody (role 0) is looked at under each role that may read the table.
_READERS = """
select p.polrelid, r.rolname, array_agg(distinct p.polname::text order by p.polname::text)
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_roles r on r.oid = any (p.polroles) or (
    p.polroles = '{0}' and r.oid <> c.relowner
    and r.oid in (select a.grantee from aclexplode(c.relacl) a where a.privilege_type = 'SELECT')
)
where c.relrowsecurity and p.polcmd in ('r', '*') and p.polpermissive and p.polqual is not null
    and not r.rolsuper and not r.rolbypassrls
    and has_any_column_privilege(r.oid, c.oid, 'SELECT') and has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
group by p.polrelid, r.rolname
order by p.polrelid, r.rolname
"""


def policy_findings(
    conn: "psycopg.Connection[Any]", tables: Sequence[AdviceTable], limits: Limits
) -> tuple[list[AdviceFinding], list[str]]:
    """Reads of big tables under row-level security that no index can serve, and notes on those not looked at."""
    big = {table.oid: table for table in tables if table.rows > limits.big_table_rows and table.has_row_security}
    findings, unplanned, forbidden = [], [], set()
    for oid, role, policies in conn.execute(_READERS).fetchall():
        if oid not in big:
            continue
        plans = _plans(conn, big[oid], role)
        if isinstance(plans, str):
            if plans == "role":
                forbidden.add(role)
            else:
                unplanned.append(f"policies of {big[oid].qualified} for {role}: cannot be planned ({plans})")
            continue
        usual, best = plans
        if any(_is_blind(node) for node in _scans(best)):
            findings.append(_finding(big[oid], role, policies, usual))
    if forbidden:
        names = ", ".join(sorted(forbidden))
        unplanned.append(
            f"policies: this user may not act as {names}; their reads were not planned, grant the roles to it"
        )
    return findings, unplanned


def _plans(conn: "psycopg.Connection[Any]", table: AdviceTable, role: str) -> tuple[Any, Any] | str:
    """The usual plan of a read as the role and the one without sequential scans; or what stood in the way."""
    import psycopg
    from psycopg import sql

    query = sql.SQL("explain (format json) select 1 from {}").format(sql.Identifier(table.schema, table.name))
    plans = []
    try:
        with conn.transaction(force_rollback=True):
            try:
                conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            except psycopg.errors.InsufficientPrivilege:
                return "role"
            conn.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(_CLAIMS),))
            conn.execute("set local max_parallel_workers_per_gather = 0")
            for setting in ("on", "off"):
                conn.execute("select set_config('enable_seqscan', %s, true)", (setting,))
                row = conn.execute(query).fetchone()
                plans.append(row[0][0]["Plan"] if row else {})
    except psycopg.Error as error:
        return f"SQLSTATE {error.sqlstate}"
    return plans[0], plans[1]


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes that read a table for the query itself, not for a subquery of a policy."""
    if node.get("Parent Relationship") in ("InitPlan", "SubPlan"):
        return
    if "Relation Name" in node:
        yield node
    for child in node.get("Plans", ()):
        yield from _scans(child)


def _is_blind(node: dict[str, Any]) -> bool:
    """Whether a scan looks at every row to throw some away; a bitmap of a whole index is one as well."""
    return "Filter" in node and "Index Cond" not in node and "Recheck Cond" not in node


def _finding(table: AdviceTable, role: str, policies: Sequence[str], usual: dict[str, Any]) -> AdviceFinding:
    estimate = max((int(node["Plan Rows"]) for node in _scans(usual)), default=0)
    return AdviceFinding(
        kind="policy_scan",
        id=f"policy_scan:{table.qualified}:{role}",
        severity="critical",
        object=f"{table.qualified} as {role}",
        measured=f"{', '.join(policies)}: no index can serve the predicate, each read looks at all {table.rows:,} rows "
        f"for an estimated {estimate:,}",
        remedy="index the column and write the policy as `column = (select claim())`: one policy a role, "
        "helpers STABLE, no function around the column, no test of the role in it",
    )
