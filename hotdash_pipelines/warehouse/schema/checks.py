"""Whether the migration files and a database agree.

Belongs here: what `hotdash schema validate` finds, in files without a database and in a database without changing it.
Does not belong here: applying files (migrate.py), how the schema is protected (warehouse/access/lint.py).
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations
from hotdash_pipelines.warehouse.postgres import connect

_PARTS = (".sql", ".rollback.sql", ".py")
_NAME = re.compile(r"\d{4}_[a-z0-9_]+")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# A file runs inside a transaction that is not its own to end. `end;` also closes a block of PL/pgSQL.
_ENDS_TRANSACTION = re.compile(
    r"^[ \t]*(begin|start|commit|rollback)([ \t]+(work|transaction))?[ \t]*;", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Problem:
    """One disagreement: a stable id, the file or revision, and a sentence that says what to do."""

    id: str
    subject: str
    message: str


def check_files(folder: Path = VERSIONS) -> list[Problem]:
    """Every file well formed and with its companions, and the revisions one unbroken chain from 0001."""
    problems: list[Problem] = []
    stems: dict[str, set[str]] = {}
    for path in sorted(folder.iterdir()):
        part = next((part for part in (".rollback.sql", ".sql", ".py") if path.name.endswith(part)), None)
        if path.name in ("__pycache__", "__init__.py"):
            continue
        stem = path.name.removesuffix(part or "")
        if part is None or not _NAME.fullmatch(stem):
            problems.append(Problem("file-name", path.name, "is no migration: name it NNNN_name.sql, or move it away"))
            continue
        stems.setdefault(stem, set()).add(part)
    for stem, parts in stems.items():
        problems += [
            Problem(
                "file-missing", f"{stem}{part}", "is missing: a migration is a .sql, a .rollback.sql and a .py file"
            )
            for part in _PARTS
            if part not in parts
        ]
        for part in sorted(parts - {".py"}):
            problems += _check_sql(folder / f"{stem}{part}")
    return problems + _check_chain(folder, stems)


def _check_sql(path: Path) -> list[Problem]:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return [Problem("file-encoding", path.name, "is not UTF-8: save it as UTF-8")]
    if text.startswith("\ufeff") or "\0" in text:
        return [Problem("file-encoding", path.name, "has a byte order mark or a zero byte: save it as plain UTF-8")]
    code = _COMMENT.sub("", text)
    if not code.strip():
        return [Problem("file-empty", path.name, "holds no statement: write one, or drop the migration")]
    if _ENDS_TRANSACTION.search(code):
        return [
            Problem("file-transaction", path.name, "begins or ends a transaction: leave that out, it runs inside one")
        ]
    return []


def _check_chain(folder: Path, stems: Mapping[str, set[str]]) -> list[Problem]:
    problems = []
    before: str | None = None
    for stem in sorted(stems):
        revision = stem[:4]
        if revision == before:
            problems.append(Problem("chain", stem, f"has the number {revision} of another migration: renumber it"))
            continue
        if int(revision) != int(before or 0) + 1:
            problems.append(
                Problem("chain", stem, f"follows {before or 'nothing'}: number it {int(before or 0) + 1:04}")
            )
        if ".py" in stems[stem]:
            linked = _revisions(folder / f"{stem}.py")
            if linked != (revision, before):
                problems.append(
                    Problem(
                        "chain",
                        f"{stem}.py",
                        f"must say revision = {_quoted(revision)} and down_revision = {_quoted(before)}",
                    )
                )
        before = revision
    return problems


def _quoted(revision: str | None) -> str:
    return f'"{revision}"' if revision else "None"


def _revisions(path: Path) -> tuple[Any, Any]:
    """`revision` and `down_revision` of a revision file, read without running it."""
    values: dict[str, Any] = {"revision": ..., "down_revision": ...}
    try:
        body = ast.parse(path.read_text()).body
    except (SyntaxError, UnicodeDecodeError):
        return (..., ...)
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id in values:
                    values[target.id] = node.value.value
    return values["revision"], values["down_revision"]


def check_database(url: str, folder: Path = VERSIONS) -> list[Problem]:
    """What the database has against the files: unknown and edited migrations, gaps, and what is pending."""
    with connect(url) as conn:
        applied: dict[str, tuple[str, str, str]] = {}
        alembic: list[str] = []
        if conn.execute("select to_regclass('ops.schema_migrations') is not null").fetchone() == (True,):
            rows = conn.execute("select revision, name, up_sha256, down_sha256 from ops.schema_migrations order by 1")
            applied = {revision: (name, up, down) for revision, name, up, down in rows}
        if conn.execute("select to_regclass('ops.alembic_version') is not null").fetchone() == (True,):
            alembic = [version for (version,) in conn.execute("select version_num from ops.alembic_version")]
    known = {migration.revision: migration for migration in migrations(folder)}
    problems = []
    for revision, (name, up, down) in applied.items():
        if revision not in known:
            problems.append(
                Problem("unknown", name, "was applied and is not known here: run the version that made it, or newer")
            )
            continue
        for suffix, was, now in (
            (".sql", up, known[revision].up_sha256),
            (".rollback.sql", down, known[revision].down_sha256),
        ):
            if was != now:
                message = "was edited after it was applied: put it back and write a new migration for the change"
                problems.append(Problem("edited", f"{known[revision].name}{suffix}", message))
    newest = max(applied, default="")
    for revision, migration in known.items():
        if revision in applied:
            continue
        if revision < newest:
            problems.append(
                Problem("gap", migration.name, f"was left out, though {newest} was applied: ask its author")
            )
        else:
            problems.append(Problem("pending", migration.name, "is not applied: run `hotdash schema migrate`"))
    if alembic != ([newest] if newest else []):
        stands = ", ".join(alembic) or "nothing"
        problems.append(
            Problem("bookkeeping", "ops.alembic_version", f"says {stands} where ops.schema_migrations says {newest}")
        )
    return problems
