"""The text of docs/access.md.

Belongs here: the page, written from the declared access. Does not belong here: the declaration (declared.py).
"""

from hotdash_pipelines.warehouse.access.declared import (
    BACKUP,
    CLAIMS,
    FUNCTIONS,
    ROLES,
    TABLES,
    VERBS,
    VIEWS,
    AccessTable,
    Rows,
    Verb,
    is_required,
    policies,
)
from hotdash_pipelines.warehouse.access.sql import predicate

_HEAD = """# Who may do what with the support agent's data

Written by `make docs` from `hotdash_pipelines/warehouse/access/declared.py`; the grants and policies of the migrations
come from there too, and a test tries every role on every table. What a table does not list is refused with error 42501.

## Before you rely on it

- **Claims.** The API verifies a token. In each transaction it calls `set_config('request.jwt.claims', .., true)` with
  the token's claims as JSON, then `set local role`. Both end with the transaction, so a pooled connection carries
  nothing over. Never set them for the session.
- **Session variables** stand in for a claim that the token lacks. A claim that is there wins, also when it is empty;
  claims that are no JSON object count as nobody. No claim and no variable: no rows.
- **Variables are a boundary only as long as tenants never get free SQL.** Whoever may run SQL may set any variable, and
  `request.jwt.claims` too. Give tenants the API, never a connection.
- **INFO and WARN log lines of everybody are readable by every signed-in tenant**, as required. Redact before you write.
  For own lines only: `drop policy auth_select_level on agent.observability_logs`.
- **The audit tables** (marked below) are appended to and never changed: nobody has the grant, a policy forbids it, and
  a trigger refuses it for everybody, the owner included. Only `hotdash_retention` deletes.
- **A superuser can undo all of this**, and so can the tables' owner: both can disable the trigger, drop a policy or the
  table. Keep both for migrations and administration, and log what they do.
- **The owner** reads through its membership in `service_role`: row security is forced, so without it the owner sees
  nothing.
- `webhook_writer` reads nothing, so it writes `on conflict do nothing` and names no columns: that would need SELECT.
- `COPY .. FROM` into these tables works only for those whom row security does not bind (a superuser); others INSERT.

"""


def render_access() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD, _claims(), _roles(), "## Tables\n\n", *(_table(table) for table in TABLES)]
    return "".join([*parts, _views(), _functions(), _policies()])


def _claims() -> str:
    rows = [f"| `{claim}` | `{variable}` |" for claim, variable in CLAIMS.items()]
    return "## Claims\n\n| claim | variable |\n|---|---|\n" + "\n".join(rows) + "\n\n"


def _roles() -> str:
    rows = [f"| `{role}` | {what} |" for role, what in ROLES.items()]
    return "## Roles\n\n| role | what it is for |\n|---|---|\n" + "\n".join(rows) + "\n\n"


def _table(table: AccessTable) -> str:
    rows = []
    for role in ROLES:
        cells = ["every row", "", "", ""] if role == BACKUP else [_cell(table, role, verb) for verb in VERBS]
        if any(cells):
            rows.append(f"| `{role}` | {' | '.join(cells)} |")
    mark = " (audit)" if table.append_only else ""
    return (
        f"### {table.name}{mark}\n\n| role | select | insert | update | delete |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n"
    )


def _cell(table: AccessTable, role: str, verb: Verb) -> str:
    rules = [rule for rule in table.rules if role in rule.roles and verb in rule.granted]
    if not rules:
        return ""
    rows = {_words(rule.rows) for rule in rules}
    what = "every row" if "every row" in rows else " or ".join(sorted(rows))
    columns = () if any(not rule.columns for rule in rules) else rules[0].columns
    return f"{what}: {', '.join(columns)}" if columns else what


def _words(rows: Rows) -> str:
    if rows.column is None:
        return "every row"
    return f"own {rows.column}" if rows.is_own else f"{rows.column} {', '.join(rows.values)}"


def _views() -> str:
    rows = []
    for view in VIEWS:
        rights = "its own (no policy guards it)" if view.stored else "the reader's"
        rows.append(f"| {view.name} | {', '.join(sorted(view.readers))} | {rights} |")
    return "## Views\n\n| view | readers | rights |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"


def _functions() -> str:
    rows = [f"| {function.signature} | {', '.join(sorted(function.callers))} |" for function in FUNCTIONS]
    return "## Functions\n\n| function | callers |\n|---|---|\n" + "\n".join(rows) + "\n\n"


def _policies() -> str:
    every = policies()
    required = sum(is_required(*one) for one in every)
    rows = []
    for table in TABLES:
        for rule in table.rules:
            to = ", ".join(sorted(rule.roles))
            more = "" if is_required(table.name, rule.name) else "yes"
            rows.append(f"| {table.name} | {rule.name} | {rule.verb} | {to} | `{predicate(rule.rows)}` | {more} |")
        for verb in table.refused:
            rows.append(f"| {table.name} | no_{verb} | {verb}, restrictive | everybody else | `false` | |")
    return (
        f"## Policies\n\n{len(every)}: the {required} of the specification, and {len(every) - required} beyond it "
        "(one of retention a table, the readers of\nthe history, the service on curated replies).\n\n"
        "| table | policy | for | to | rows | beyond |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
