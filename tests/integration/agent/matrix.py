"""What each role should get on each table, view, sequence and function, and what it really gets.

Belongs here: the seeded rows, the tries and their expected outcomes. Does not belong here: tests. Outcomes follow from
the declared rules alone; the SQL generated from the same rules is not looked at.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from hotdash_pipelines.warehouse.access.declared import (
    BACKUP,
    CLAIMS,
    FUNCTIONS,
    ROLES,
    TABLES,
    VIEWS,
    AccessTable,
    Verb,
    View,
)

REFUSED = "refused"
REACHED = "reached"
# One valid value for each column that may be written, apart from `id`.
SAMPLES: dict[str, dict[str, str]] = {
    "agent.facts": {"project": "'mine'", "topic": "'t'", "key": "'k'", "value": "'{}'", "created_at": "now()"},
    "agent.decision_sync_event_logs": {
        "decision_id": "'d'",
        "scope": "'mine'",
        "status": "'sent'",
        "attempt": "2",
        "duration_ms": "3",
        "error": "'e'",
        "payload": "'{}'",
        "created_at": "now()",
    },
    "agent.observability_logs": {
        "level": "'DEBUG'",
        "message": "'m'",
        "request_id": "'mine'",
        "metadata": "'{}'",
        "created_at": "now()",
    },
    "agent.support_curated_replies": {
        "conversation_id": "'mine'",
        "source_message_id": "gen_random_uuid()::text",
        "message_body": "'b'",
        "tags": "'{a}'",
        "approver": "'a'",
        "approved_at": "now()",
        "created_at": "now() - interval '1 hour'",
        "updated_at": "now()",
    },
    "agent.agent_approvals": {
        "conversation_id": "'mine'",
        "serialized": "'{}'",
        "last_interruptions": "'[]'",
        "created_at": "now() - interval '1 hour'",
        "approved_by": "'a'",
        "status": "'pending'",
        "updated_at": "now()",
    },
    "agent.agent_feedback": {
        "conversation_id": "'mine'",
        "input_text": "'i'",
        "model_draft": "'m'",
        "safe_to_send": "true",
        "labels": "'{a}'",
        "rubric": "'{\"clarity\": 4}'",
        "annotator": "'a'",
        "notes": "'n'",
        "meta": "'{}'",
        "created_at": "now() - interval '1 hour'",
        "updated_at": "now()",
    },
    "agent.agent_queries": {
        "query": "'q'",
        "result": "'{}'",
        "conversation_id": "'mine'",
        "agent": "'a'",
        "approved": "true",
        "human_edited": "false",
        "latency_ms": "5",
        "created_at": "now() - interval '1 hour'",
        "updated_at": "now()",
    },
}
SAMPLES["agent.agent_queries_history"] = SAMPLES["agent.agent_queries"] | {
    "id": "1",
    "valid_from": "now()",
    "operation_type": "'INSERT'",
}
ARGUMENTS = {"text": "'UTC'", "timestamptz": "now()", "integer": "1", "bigint": "1", "numeric": "1.0"}
OWNER_COLUMN = {
    "agent.facts": "project",
    "agent.decision_sync_event_logs": "scope",
    "agent.observability_logs": "request_id",
}


@dataclass(frozen=True)
class Kind:
    """Rows of one kind: what tells them apart, and how many are seeded (so that a sum of counts names its kinds)."""

    values: Mapping[str, str]
    copies: int


def kinds(table: str) -> list[Kind]:
    """The kinds of rows that a table is seeded with."""
    column = OWNER_COLUMN.get(table, "conversation_id")
    wanted: list[dict[str, str]] = [{column: "mine"}, {column: "theirs"}]
    if table == "agent.observability_logs":
        wanted = [
            {column: whose, "level": level}
            for whose in ("mine", "theirs")
            for level in ("DEBUG", "INFO", "WARN", "ERROR")
        ]
    return [Kind(values, 2**position) for position, values in enumerate(wanted)]


def insert(table: str, kind: Kind) -> str:
    """The statement that adds one row of a kind."""
    row = SAMPLES[table] | {column: f"'{value}'" for column, value in kind.values.items()}
    return f"insert into {table} ({', '.join(row)}) values ({', '.join(row.values())})"


def seed(conn: "psycopg.Connection[Any]") -> None:
    """Fill every table; the history follows from its trigger."""
    for table in TABLES:
        if table.name != "agent.agent_queries_history":
            for kind in kinds(table.name):
                for _ in range(kind.copies):
                    conn.execute(insert(table.name, kind))


def reaches(table: AccessTable, role: str, verb: Verb, row: Mapping[str, str], me: str | None) -> bool:
    """Whether a role whose claims say `me` may do `verb` to a row."""
    if role == BACKUP:
        return verb == "select"
    for rule in table.rules:
        if role in rule.roles and verb in rule.granted:
            column, values = rule.rows.column, rule.rows.values
            if column is None or (row[column] in values if values else me is not None and row[column] == me):
                return True
    return False


def may(table: AccessTable, role: str, verb: Verb, column: str | None = None) -> bool:
    """Whether a role may do `verb` to some row (of `column`) at all."""
    if role == BACKUP:
        return verb == "select"
    rules = [rule for rule in table.rules if role in rule.roles and verb in rule.granted]
    return any(not rule.columns or column in rule.columns for rule in rules)


def count(table: AccessTable, role: str, verb: Verb, me: str | None) -> int:
    """How many of the seeded rows a role may do `verb` to."""
    return sum(kind.copies for kind in kinds(table.name) if reaches(table, role, verb, kind.values, me))


def _tries_of_table(table: AccessTable, role: str, me: str | None) -> Iterator[tuple[str, object]]:
    name = table.name

    def reached(verb: Verb, column: str | None = None) -> object:
        return count(table, role, verb, me) if may(table, role, verb, column) else REFUSED

    yield f"select from {name}", reached("select")
    yield f"delete from {name}", reached("delete")
    yield f"truncate {name}", REFUSED
    yield f"select nextval('{table.sequence}')", REACHED if may(table, role, "insert") else REFUSED
    yield f"select setval('{table.sequence}', 1)", REFUSED
    for column, value in SAMPLES[name].items():
        yield f"update {name} set {column} = {value}", reached("update", column)
    for kind in kinds(name):
        yield insert(name, kind), 1 if reaches(table, role, "insert", kind.values, me) else REFUSED


def _tries_of_view(view: View, role: str, me: str | None) -> Iterator[tuple[str, object]]:
    if not view.shows_rows:
        yield f"select * from {view.name}", REACHED if role in view.readers else REFUSED
        return
    (table,) = (table for table in TABLES if table.name in view.over)
    yield f"select from {view.name}", count(table, role, "select", me) if role in view.readers else REFUSED
    yield f"delete from {view.name}", REFUSED
    yield f"update {view.name} set id = 1", REFUSED


def _tries_of_function(signature: str, over: Iterable[str], callers: tuple[str, ...], role: str, me: str | None):
    name, _, types = signature.rstrip(")").partition("(")
    call = f"{name}({', '.join(ARGUMENTS[one] for one in types.split(', ') if one)})"
    if role not in callers:
        yield f"select from {call}", REFUSED
    elif over:
        (table,) = (table for table in TABLES if table.name in over)
        yield f"select from {call}", count(table, role, "select", me)
    else:
        yield f"select {call}", REACHED


def tries(role: str, me: str | None, only: str | None = None) -> Iterator[tuple[str, object]]:
    """Every statement to try as a role, with the outcome that the rules promise: a count, REACHED or REFUSED."""
    for table in TABLES:
        if only in (None, table.name):
            yield from _tries_of_table(table, role, me)
    for view in VIEWS:
        if only in (None, view.name):
            yield from _tries_of_view(view, role, me)
    for function in FUNCTIONS:
        if only in (None, function.signature):
            yield from _tries_of_function(function.signature, function.over, function.callers, role, me)


def become(conn: "psycopg.Connection[Any]", role: str, claims: str | None, variable: str | None) -> None:
    """Until the transaction ends: `role`, with these claims and every session variable set to `variable`."""
    for name in CLAIMS.values():
        conn.execute("select set_config(%s, %s, true)", (name, variable or ""))
    conn.execute("select set_config('request.jwt.claims', %s, true)", (claims or "",))
    conn.execute(f"set local role {role}")


def outcome(conn: "psycopg.Connection[Any]", statement: str) -> object:
    """What a statement comes to; it is undone."""
    conn.execute("savepoint tried")
    try:
        cursor = conn.execute(statement)
        return REACHED if re.match(r"select \S", statement) and "select from" not in statement else cursor.rowcount
    except psycopg.errors.InsufficientPrivilege:
        return REFUSED
    except psycopg.Error as error:
        return f"{error.sqlstate} {error}"
    finally:
        conn.execute("rollback to tried")


EVERY_CLAIM = json.dumps(dict.fromkeys(CLAIMS, "mine"))
# claims, session variable -> who that is. A claim wins over a variable; what is no claim names nobody.
BY_CLAIM_OR_VARIABLE = ((EVERY_CLAIM, "theirs", "mine"), (None, "mine", "mine"))
NOBODY = (
    (None, None, None),
    ("{}", None, None),
    *((claims, "mine", None) for claims in ("null", "[]", '"mine"', "{", "mine", '["mine"]')),
    *((json.dumps(dict.fromkeys(CLAIMS, value)), "mine", None) for value in ("", None, 5, True, ["mine"], {"mine": 1})),
)


def deviations(
    conn: "psycopg.Connection[Any]",
    roles: Iterable[str] = tuple(ROLES),
    ways: Iterable[tuple[str | None, str | None, str | None]] = BY_CLAIM_OR_VARIABLE,
    only: str | None = None,
) -> list[str]:
    """Every try that comes to something else than promised, each in a transaction that is undone."""
    differences = []
    for role in roles:
        for claims, variable, me in ways:
            with conn.transaction(force_rollback=True):
                become(conn, role, claims, variable)
                for statement, promised in tries(role, me, only):
                    real = outcome(conn, statement)
                    if real != promised:
                        differences.append(
                            f"{role} with claims {claims}, variable {variable}: {statement}: {real}, not {promised}"
                        )
    return differences
