"""The lints of row-level security policies: whom they name, and what they cost a query.

Belongs here: reading policies as the server stores them. Does not belong here: rights (lint_rights.py).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.access.lint_model import Lint

if TYPE_CHECKING:
    import psycopg

_POLICIES = """
select p.polrelid::regclass || '.' || p.polname, p.polpermissive, p.polroles = '{0}',
    array_remove(array[p.polqual::text, p.polwithcheck::text], null),
    array_remove(array[pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)], null)
from pg_policy p
order by 1
"""
# An insert looks up no row, so it needs no index.
_UNINDEXED = """
select distinct p.polrelid::regclass || '.' || p.polname, p.polrelid::regclass || ' (' || a.attname || ')'
from pg_policy p
join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid > 0
join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where p.polcmd <> 'a' and not exists (
    select from pg_index i
    where i.indrelid = p.polrelid and i.indisvalid and i.indpred is null and i.indkey[0] = a.attnum
)
order by 1, 2
"""
_NODE = re.compile(r"\\.|\{(?P<node>\w+)|(?P<end>\})|:funcid (?P<function>\d+)", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_ASKS_ROLE = re.compile(r"\b(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\b|\bpg_has_role\(")
_ROLE_CLAIM = re.compile(r"'role'|'request\.jwt\.claim\.role'")


@dataclass(frozen=True)
class Policy:
    """One policy: its expressions as the server's trees and as SQL, USING before WITH CHECK."""

    name: str
    is_permissive: bool
    is_for_public: bool
    trees: tuple[str, ...]
    expressions: tuple[str, ...]


def policies(conn: "psycopg.Connection[Any]") -> list[Policy]:
    """Every policy of the database, `schema.table.policy` in order."""
    return [
        Policy(name, permissive, public, tuple(trees), tuple(expressions))
        for name, permissive, public, trees, expressions in conn.execute(_POLICIES)
    ]


def bare_calls(tree: str) -> Iterator[int]:
    """The functions that an expression calls outside any subquery, which the server runs for every row."""
    nodes: list[str] = []
    for match in _NODE.finditer(tree):
        if match["node"]:
            nodes.append(match["node"])
        elif match["end"]:
            nodes.pop()
        elif match["function"] and nodes[-1] == "FUNCEXPR" and "SUBLINK" not in nodes:
            yield int(match["function"])


def _where(condition: Callable[[Policy], bool]) -> "Callable[[psycopg.Connection[Any]], list[tuple[str, str | None]]]":
    return lambda conn: [(policy.name, None) for policy in policies(conn) if condition(policy)]


def _asks_role(policy: Policy) -> bool:
    return any(
        _ROLE_CLAIM.search(expression) or _ASKS_ROLE.search(_LITERAL.sub("''", expression))
        for expression in policy.expressions
    )


def _not_wrapped(conn: "psycopg.Connection[Any]") -> "Iterator[tuple[str, str | None]]":
    called = {policy.name: {call for tree in policy.trees for call in bare_calls(tree)} for policy in policies(conn)}
    names = dict(
        conn.execute(
            "select oid, oid::regprocedure::text from pg_proc where oid = any(%s) and provolatile <> 'i'",
            (sorted(set().union(*called.values())),),
        ).fetchall()
    )
    for policy, calls in called.items():
        unwrapped = sorted(names[call] for call in calls & names.keys())
        if unwrapped:
            yield policy, ", ".join(unwrapped)


POLICY_LINTS = (
    Lint(
        "policy-to-public",
        "policy {object} names no role, so it holds for everybody",
        "alter policy ... to the role that it is meant for",
        _where(lambda policy: policy.is_for_public),
    ),
    Lint(
        "policy-column-unindexed",
        "policy {object} reads {detail}, which no index begins with: every query reads the whole table",
        "create index on {detail}",
        lambda conn: conn.execute(_UNINDEXED).fetchall(),
    ),
    Lint(
        "policy-has-or",
        "policy {object} has an OR: the server cannot use an index for it",
        "write one policy for each side, each TO its role",
        _where(lambda policy: any("{BOOLEXPR :boolop or" in tree for tree in policy.trees)),
    ),
    Lint(
        "policy-asks-role",
        "policy {object} asks who is asking inside its expression: that is asked again for every row",
        "write the role after TO",
        _where(_asks_role),
    ),
    Lint(
        "claim-not-wrapped",
        "policy {object} calls {detail} outside a subselect: that is called again for every row",
        "write column = (select the call)",
        _not_wrapped,
    ),
    Lint(
        "policy-permissive-false",
        "policy {object} is permissive and false: it forbids nothing",
        "create it AS RESTRICTIVE",
        _where(lambda policy: policy.is_permissive and "false" in policy.expressions),
    ),
)
