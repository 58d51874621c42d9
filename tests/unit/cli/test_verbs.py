"""What holds for every verb: its options mean the same as everywhere, it answers, asks and fails in the one way."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import click
import pytest
import typer
import typer.main
from typer.testing import CliRunner, Result

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal
from hotdash_pipelines.cli import app, output
from hotdash_pipelines.settings import PROJECT_ROOT, get_settings


def _verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if command.callback and not getattr(command, "no_args_is_help", False):
        yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, (*path, name))


def _has(command: click.Command, option: str) -> bool:
    return any(option in parameter.opts for parameter in command.params)


VERBS = dict(_verbs(typer.main.get_command(app)))
DANGEROUS = {path for path, command in VERBS.items() if _has(command, "--yes")}
# Its options for a call that would change something, were it let. `--env prod` where production alone is asked about.
GIVEN = {
    ("agent", "cleanup"): (),
    ("backup", "prune"): (),
    ("erase",): ("--subject", "1", "--approved-by", "Ada", "--approved-by", "Grace"),
    ("lake", "replay"): ("--stream", "shopify/orders", "--from", "2026-03-01", "--to", "2026-03-02"),
    ("quarantine", "replay"): (),
    ("retention", "run"): (),
    ("restore",): ("--backup-id", "latest", "--replace"),
    ("agent", "seed"): (),
    ("performance", "optimize"): ("--auto-index", "--apply", "--env", "prod"),
    ("schema", "migrate"): ("--env", "prod"),
    ("schema", "rollback"): ("--to", "base", "--env", "prod"),
}
# Refused only once there is a plan, which takes a database: tests/integration has them.
NEED_A_PLAN = {("backup", "prune"), ("schema", "migrate"), ("schema", "rollback")}
# What answers without a server, with the exit code of an empty home.
CHEAP = {
    ("backup", "list"): 0,
    ("db", "status"): 1,
    ("export", "list"): 0,
    ("sla", "list"): 0,
    ("sla", "probe"): 1,
    ("sla", "validate"): 0,
    ("schema", "validate", "--files-only"): 0,
}
# Not one document: a line for each event.
STREAMS = {("monitor", "start")}


@pytest.fixture
def hotdash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """The command in an empty home of production, with nobody at the keyboard."""
    for name in [name for name in os.environ if name.startswith("HOTDASH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOTDASH_ENVIRONMENT", "prod")
    monkeypatch.setenv("HOTDASH_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    get_settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, words)
    get_settings.cache_clear()


@pytest.mark.parametrize("option, kind", [("--json", output.Json), ("--yes", output.Yes), ("--env", output.Env)])
def test_a_shared_option_says_the_same_everywhere(option: str, kind: object) -> None:
    said = {
        parameter.help  # type: ignore[attr-defined]
        for path, command in VERBS.items()
        for parameter in command.params
        if option in parameter.opts and path not in STREAMS | {("doctor",)}
    }
    (shared,) = kind.__metadata__  # type: ignore[attr-defined]
    assert said == {shared.help}


def test_no_verb_answers_asks_or_refuses_in_a_way_of_its_own() -> None:
    """A progress bar, an address typed in and a stream of events are no answers."""
    allowed = {("export.py", "isatty("), ("alerts.py", "isatty("), ("monitor/verbs.py", "json.dumps")}
    ways = ("json.dumps", "typer.confirm", "isatty(", 'print(f"hotdash:', "Exit(2)", "Exit(3)", "open_store(")
    folder = PROJECT_ROOT / "hotdash_pipelines" / "cli"
    own = {
        (str(path.relative_to(folder)), way)
        for path in folder.rglob("*.py")
        for way in ways
        if path.name != "output.py" and way in path.read_text()
    }
    assert own <= allowed, "cli/output.py and services/stores.py have these for all verbs"


@pytest.mark.parametrize("words", CHEAP, ids=" ".join)
def test_with_json_a_verb_prints_one_document_and_nothing_else(
    words: tuple[str, ...], hotdash: Callable[..., Result]
) -> None:
    done = hotdash(*words, "--json")
    assert done.exit_code == CHEAP[words], done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stdout.count("\n") == 1


def test_every_dangerous_verb_is_tried_here() -> None:
    assert set(GIVEN) == DANGEROUS


@pytest.mark.parametrize("path", sorted(DANGEROUS), ids=" ".join)
def test_a_dangerous_verb_can_be_tried_without_harm(path: tuple[str, ...]) -> None:
    assert _has(VERBS[path], "--dry-run") or _has(VERBS[path], "--apply")


@pytest.mark.parametrize("path", sorted(DANGEROUS - NEED_A_PLAN), ids=" ".join)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_dangerous_verb_refuses_where_nobody_can_be_asked(
    path: tuple[str, ...], as_json: bool, hotdash: Callable[..., Result], tmp_path: Path
) -> None:
    done = hotdash(*path, *GIVEN[path], *(["--json"] if as_json else []))
    assert (done.exit_code, done.stderr.count("\n")) == (3, 1), (done.stderr, done.exception)
    assert "--yes" in done.stderr
    assert list(json.loads(done.stdout)) == ["refused"] if done.stdout else True
    assert not (tmp_path / "home").exists()


class _Odd(HotdashError):
    exit_code: ClassVar[int] = 7


@pytest.mark.parametrize(
    "error, code, line",
    [
        (HotdashError("it broke"), 1, "hotdash: it broke\n"),
        (output.WrongUsage("not so"), 2, "hotdash: not so\n"),
        (SafetyRefusal("too dear"), 3, "hotdash: too dear\n"),
        (_Odd("odd"), 7, "hotdash: odd\n"),
        (OSError(28, "No space left", "/x"), 1, "hotdash: /x: No space left; mend that, then run the command again\n"),
    ],
)
def test_an_expected_failure_is_one_line_and_its_exit_code(error: Exception, code: int, line: str) -> None:
    verbs = typer.Typer(cls=output.Verbs)

    @verbs.command()
    def fail() -> None:
        """Fail."""
        raise error

    @verbs.command()
    def rest() -> None:
        """Keep `fail` a word."""

    done = CliRunner().invoke(verbs, ["fail"])
    assert (done.exit_code, done.stderr, done.stdout) == (code, line, "")


def test_a_setting_that_is_wrong_is_named(hotdash: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDASH_BACKUP_KEEP", "0")
    done = hotdash("backup", "list")
    assert done.exit_code == 2
    assert done.stderr.startswith("hotdash: HOTDASH_BACKUP_KEEP: ")


def test_an_error_that_nobody_expects_keeps_its_traceback() -> None:
    verbs = typer.Typer(cls=output.Verbs)

    @verbs.command()
    def fail() -> None:
        """Fail."""
        raise KeyError("a bug")

    @verbs.command()
    def rest() -> None:
        """Keep `fail` a word."""

    assert isinstance(CliRunner().invoke(verbs, ["fail"]).exception, KeyError)
