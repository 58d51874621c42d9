"""`--help` of every command says what it does, what each option is for, and hides nothing behind a cut."""

from collections.abc import Iterator

import click
import pytest
import typer.main
from typer.testing import CliRunner

from hotdash_pipelines.cli import app


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_the_verb_groups_are_there() -> None:
    wanted = {"backup", "db", "demo", "contracts", "schema", "agent", "monitor", "performance"}
    assert {path[0] for path in COMMANDS if path} >= wanted


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_described(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    first = command.help.strip().splitlines()[0]
    # A list of commands shows the first sentences: whole, and without a capital letter lost.
    assert first[0].isupper() or first[0] == "`"
    assert command.help.strip().endswith((".", "`"))
    undescribed = [
        parameter.name
        for parameter in command.params
        if not getattr(parameter, "help", None) and "--help" not in parameter.opts
    ]
    assert undescribed == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_page_can_be_shown(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.stdout
    assert "…" not in shown.stdout


def test_options_of_one_name_mean_the_same() -> None:
    """`--json`, `--yes`, `--env` and the like are flags, or take a value, in every command alike."""
    shapes: dict[str, set[bool]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            for name in parameter.opts:
                shapes.setdefault(name, set()).add(bool(getattr(parameter, "is_flag", False)))
    assert [name for name, kinds in shapes.items() if len(kinds) > 1 and name.startswith("--")] == []
