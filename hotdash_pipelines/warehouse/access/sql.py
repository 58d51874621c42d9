"""The SQL that follows from the declared access: grants, policies, row security, and their way back.

Belongs here: pure functions from the declaration to text, and the block of a migration that holds it. Does not belong
here: who may do what (declared.py).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from hotdash_pipelines.warehouse.access.declared import (
    BACKUP,
    CLAIMS,
    FUNCTIONS,
    ROLES,
    TABLES,
    VERBS,
    VIEWS,
    AccessTable,
    Function,
    Rows,
    Verb,
    View,
)
from hotdash_pipelines.warehouse.migrations.files import VERSIONS

# Shipped migrations are sealed by their checksum: this line keeps the path that the declaration had in their day.
OPENING = "-- Access, written by `hotdash docs` from hotdash_pipelines/warehouse/access.py:"
CLOSING = "-- End of access."
_Declared = TypeVar("_Declared", AccessTable, View, Function)


def migrations() -> list[str]:
    """The names of the migrations that hold an access block, in order."""
    return sorted({declared.migration for declared in (*TABLES, *VIEWS, *FUNCTIONS)})


def grant_block(migration: str) -> str:
    """The access block of a migration: everything declared for it. Ends in a newline."""
    lines = [f"grant usage on schema {schema} to {_list(roles)};" for schema, roles in _new_usage(migration)]
    for table in _of(TABLES, migration):
        lines += ["", *_guard(table)]
    views, functions = _of(VIEWS, migration), _of(FUNCTIONS, migration)
    if views:
        lines += ["", *(f"grant select on {view.name} to {_list(view.readers)};" for view in views)]
    if functions:
        lines += ["", *(f"grant execute on function {one.signature} to {_list(one.callers)};" for one in functions)]
    return _block(lines)


def revoke_block(migration: str) -> str:
    """The access block of the migration's rollback. Ends in a newline."""
    lines = []
    for function in reversed(_of(FUNCTIONS, migration)):
        lines.append(f"revoke execute on function {function.signature} from {_list(function.callers)};")
    for view in reversed(_of(VIEWS, migration)):
        lines.append(f"revoke select on {view.name} from {_list(view.readers)};")  # noqa: S608
    for table in reversed(_of(TABLES, migration)):
        lines += ["", *_unguard(table)]
    usage = list(_new_usage(migration))
    if usage:
        lines.append("")
    lines += [f"revoke usage on schema {schema} from {_list(roles)};" for schema, roles in reversed(usage)]
    return _block(lines)


def predicate(rows: Rows) -> str:
    """The condition of a policy. A claim is asked for in a subquery, which runs once a statement."""
    if rows.column is None:
        return "true"
    if rows.is_own:
        if rows.column not in CLAIMS:
            raise ValueError(
                f"no claim is called {rows.column}: declare it in CLAIMS and write its function app.claim_*"
            )
        return f"{rows.column} = (select app.claim_{rows.column}())"
    return f"{rows.column} in ({', '.join(repr(value) for value in rows.values)})"


def rewritten(migration: str, folder: Path = VERSIONS) -> dict[Path, str]:
    """Both files of a migration as they should stand: their text with the access block anew.

    Raises ValueError when a file lacks the two lines between which the block belongs.
    """
    wanted = {}
    for path, block in (
        (folder / f"{migration}.sql", grant_block(migration)),
        (folder / f"{migration}.rollback.sql", revoke_block(migration)),
    ):
        text = path.read_text()
        before, opening, rest = text.partition(OPENING + "\n")
        _, closing, after = rest.partition(CLOSING + "\n")
        if not opening or not closing:
            raise ValueError(
                f"{path.name} has no place for its access block: add the lines {OPENING!r} and {CLOSING!r}"
            )
        wanted[path] = before + block + after
    return wanted


def _block(lines: list[str]) -> str:
    return "\n".join([OPENING, *lines, CLOSING]) + "\n"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(sorted(names))


def _of(declared: tuple[_Declared, ...], migration: str) -> list[_Declared]:
    return [one for one in declared if one.migration == migration]


def _users(migration: str) -> Iterator[tuple[str, str]]:
    """(schema, role) of everything declared for a migration."""
    for table in _of(TABLES, migration):
        for role in (BACKUP, *(role for rule in table.rules for role in rule.roles)):
            yield table.name.partition(".")[0], role
    for view in _of(VIEWS, migration):
        for role in view.readers:
            yield view.name.partition(".")[0], role
    for function in _of(FUNCTIONS, migration):
        for role in function.callers:
            yield function.signature.partition(".")[0], role


def _new_usage(migration: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The schemas that roles enter for the first time with this migration."""
    known = {pair for earlier in migrations() if earlier < migration for pair in _users(earlier)}
    new = set(_users(migration)) - known
    for schema in sorted({schema for schema, _ in new}):
        yield schema, tuple(sorted(role for entered, role in new if entered == schema))


def _guard(table: AccessTable) -> Iterator[str]:
    yield f"alter table {table.name} enable row level security;"
    yield f"alter table {table.name} force row level security;"
    if table.append_only:
        yield f"revoke update, delete, truncate on {table.name} from current_user;"
    for role in sorted(ROLES):
        whole, columns = _grants(table, role)
        if whole:
            yield f"grant {', '.join(whole)} on {table.name} to {role};"
        if columns:
            yield f"grant update ({', '.join(columns)}) on {table.name} to {role};"
    yield f"grant select on {table.sequence} to {BACKUP};"
    inserters = tuple(role for role in ROLES if "insert" in _grants(table, role)[0])
    if inserters:
        yield f"grant usage on {table.sequence} to {_list(inserters)};"
    for rule in table.rules:
        yield f"create policy {rule.name} on {table.name} for {rule.verb} to {_list(rule.roles)}"
        yield "    " + _clauses(rule.verb, predicate(rule.rows)) + ";"
    for verb in table.refused:
        yield f"create policy no_{verb} on {table.name} as restrictive for {verb}"
        yield f"    to {_list(table.refused_to(verb))}"
        yield "    " + _clauses(verb, "false") + ";"


def _clauses(verb: str, condition: str) -> str:
    read, written = f"using ({condition})", f"with check ({condition})"
    if verb == "insert":
        return written
    return read if verb in ("select", "delete") else f"{read} {written}"


def _grants(table: AccessTable, role: str) -> tuple[tuple[Verb, ...], tuple[str, ...]]:
    """What a role gets on a table: the verbs on whole rows, and the columns that it may update otherwise."""
    if role == BACKUP:
        return ("select",), ()
    rules = [rule for rule in table.rules if role in rule.roles]
    whole = {verb for rule in rules if not rule.columns for verb in rule.granted}
    columns = () if "update" in whole else tuple(column for rule in rules for column in rule.columns)
    return tuple(verb for verb in VERBS if verb in whole), columns


def _unguard(table: AccessTable) -> Iterator[str]:
    for verb in reversed(table.refused):
        yield f"drop policy no_{verb} on {table.name};"
    for rule in reversed(table.rules):
        yield f"drop policy {rule.name} on {table.name};"
    named = tuple(role for role in ROLES if any(_grants(table, role)))
    yield f"revoke all on {table.sequence} from {_list(named)};"
    yield f"revoke all on {table.name} from {_list(named)};"
    if table.append_only:
        yield f"grant update, delete, truncate on {table.name} to current_user;"
    yield f"alter table {table.name} no force row level security;"
    yield f"alter table {table.name} disable row level security;"
