"""Docs are true: links and paths lead somewhere, generated pages are current, commands exist, guides are followed."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.cli.docs import pages
from hotdash_pipelines.settings import PROJECT_ROOT
from tests.guides import GUIDES

PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *PROJECT_ROOT.glob("docs/**/*.md")])

# What an add guide names is made by following it, which its own test does.
EXISTING = [page for page in PAGES if not page.name.startswith("add-")]
FOLDERS = "benchmarks|dbt_project|docker|docs|expectations|hotdash_pipelines|scripts|slas|tests"
READERS_OWN = {"docker/.env"}


def missing(text: str) -> list[str]:
    """Paths from the project's root in code type that are not there; patterns and places to fill in are none."""
    paths = {path.rstrip("/") for path in re.findall(rf"`((?:{FOLDERS})/[^`\s]*)`", text)}
    literal = {path for path in paths if not re.search(r"[*<>{]|\.\.\.", path)}
    return [path for path in sorted(literal - READERS_OWN) if not (PROJECT_ROOT / path).exists()]


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


@pytest.mark.parametrize("page", EXISTING, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_path_of_the_project_named_exists(page: Path) -> None:
    assert missing(page.read_text()) == []


def test_a_path_that_leads_nowhere_is_found() -> None:
    assert missing("`docs/route.md`, `docs/gone.md`, `slas/*.yaml`, `contracts/x.yaml`") == ["docs/gone.md"]


@pytest.mark.parametrize("guide", sorted(GUIDES.glob("add-*.md")), ids=lambda guide: guide.stem)
def test_every_guide_is_followed_by_the_test_that_it_names(guide: Path) -> None:
    tests = re.findall(r"`(tests/[\w/]+/test_adding_\w+\.py)`", guide.read_text())
    assert [test for test in tests if guide.name not in (PROJECT_ROOT / test).read_text()] == []
    assert tests, "a guide names the test that follows it: `tests/.../test_adding_a_thing.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_hotdash_command_named_exists(page: Path) -> None:
    # What a guide would have somebody write is not there yet.
    prose = re.sub(r"(?ms)^```.*?^```$", "", page.read_text())
    words = set(re.findall(r"`hotdash ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", prose))
    groups = {group.name for group in app.registered_groups}
    for named in words:
        first, _, second = named.partition(" ")
        command = [first, second] if first in groups and second else [first]
        assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0, named
