"""The docs are true: links lead somewhere, generated pages are current, commands exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.cli.docs import pages
from hotdash_pipelines.settings import PROJECT_ROOT

PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *PROJECT_ROOT.glob("docs/**/*.md")])


def test_generated_pages_and_access_blocks_are_current() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text() != text]
    assert stale == [], "run `hotdash docs`; once a migration is released, write a new one instead"
    assert {"settings.md", "access.md", "0005_agent_access.sql", "0005_agent_access.rollback.sql"} <= {
        path.name for path in pages()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_hotdash_command_named_exists(page: Path) -> None:
    words = set(re.findall(r"`hotdash ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", page.read_text()))
    groups = {group.name for group in app.registered_groups}
    for found in words:
        first, _, second = found.partition(" ")
        command = [first, second] if first in groups and second else [first]
        assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0, found
