"""`hotdash docs`: the parts of docs/ and of the migrations that are generated.

Belongs here: docs/settings.md from the settings; docs/access.md and the migrations' access blocks from the declared
access; the types on docs/slas.md from their records; the list of guides from the guides. Does not belong here: prose.
"""

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.cli.output import Check
from hotdash_pipelines.settings import PROJECT_ROOT, every_setting
from hotdash_pipelines.warehouse.access import sql as access_sql
from hotdash_pipelines.warehouse.access.page import render_access

SETTINGS_PAGE = PROJECT_ROOT / "docs" / "settings.md"
ACCESS_PAGE = PROJECT_ROOT / "docs" / "access.md"
SLAS_PAGE = PROJECT_ROOT / "docs" / "slas.md"
GUIDES_PAGE = PROJECT_ROOT / "docs" / "how-to" / "README.md"

_HEAD = """# Settings

Environment variables decide everything; nothing is read from a file. `hotdash doctor` says what is missing. This page
is written by `make docs` from `hotdash_pipelines/settings/` and each source's `settings.py`.

| variable | default | what it is |
|---|---|---|
"""


def render_settings() -> str:
    """The page: one row a setting, secrets without a default."""
    rows = []
    for variable, field in every_setting().items():
        what = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{variable}` | {shown_default(field)} | {what} |")
    return _HEAD + "\n".join(rows) + "\n"


def shown_default(field: FieldInfo) -> str:
    """A default as the page shows it; nothing where there is none or an empty one."""
    value = field.get_default(call_default_factory=True)
    if value is None or value == {}:
        return ""
    if value == PROJECT_ROOT / ".hotdash":
        return "`.hotdash`"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def render_guides() -> str:
    """The list of the guides beside it: each with its first sentence."""
    rows = []
    for guide in sorted(GUIDES_PAGE.parent.glob("*.md")):
        if guide != GUIDES_PAGE:
            title, *texts = guide.read_text(encoding="utf-8").split("\n\n")
            opening = " ".join(next(text for text in texts if not text.startswith("```")).split())
            sentence = re.split(r"(?<=\.)\s", opening)[0]
            rows.append(f"| [{title.removeprefix('# ')}]({guide.name}) | {sentence} |")
    return "# Guides\n\nEach *add* guide is followed to the letter by the test that it names.\n\n" + "\n".join(
        ["| guide | what it is about |", "|---|---|", *rows, ""]
    )


def pages() -> dict[Path, str]:
    """Every file with a generated part -> its text as it should be."""
    from hotdash_pipelines.sla import sla_types
    from hotdash_pipelines.sla.definitions.page import with_types

    wanted = {SETTINGS_PAGE: render_settings(), ACCESS_PAGE: render_access(), GUIDES_PAGE: render_guides()}
    wanted[SLAS_PAGE] = with_types(SLAS_PAGE.read_text(), sla_types())
    for migration in access_sql.migrations():
        wanted |= access_sql.rewritten(migration)
    return wanted


def docs(check: Check = False) -> None:
    """Write the generated pages of docs/ and the access blocks of the migrations anew."""
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    names = ", ".join(str(path.relative_to(PROJECT_ROOT)) for path in stale)
    if check and stale:
        raise HotdashError(f"out of date: {names}: run `make docs`")
    for path, text in stale.items():
        path.write_text(text)
    print(f"written: {names}" if stale else "up to date")
