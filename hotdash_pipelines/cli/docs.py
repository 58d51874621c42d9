"""`hotdash docs`: the parts of docs/ that are generated.

Belongs here: writing docs/settings.md from the settings. Does not belong here: prose.
"""

from typing import Annotated

import typer
from pydantic.fields import FieldInfo

from hotdash_pipelines.settings import PROJECT_ROOT, Settings

SETTINGS_PAGE = PROJECT_ROOT / "docs" / "settings.md"

_HEAD = """# Settings

Environment variables decide everything; nothing is read from a file. `hotdash doctor` says what is missing. This page
is written by `make docs` from `hotdash_pipelines/settings.py`.

| variable | default | what it is |
|---|---|---|
"""


def render_settings() -> str:
    """The page: one row a setting, secrets without a default."""
    rows = []
    for name, field in Settings.model_fields.items():
        what = (field.description or "").replace("|", "\\|")
        rows.append(f"| `HOTDASH_{name.upper()}` | {_default(field)} | {what} |")
    return _HEAD + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None:
        return ""
    if value == PROJECT_ROOT / ".hotdash":
        return "`.hotdash`"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a page is stale.")] = False,
) -> None:
    """Write the generated pages of docs/ anew."""
    text = render_settings()
    is_current = SETTINGS_PAGE.exists() and SETTINGS_PAGE.read_text() == text
    if check and not is_current:
        typer.echo("docs/settings.md is out of date: run `make docs`", err=True)
        raise typer.Exit(1)
    if not is_current:
        SETTINGS_PAGE.write_text(text)
    typer.echo("up to date" if is_current else "written: docs/settings.md")
