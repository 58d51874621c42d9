"""What verbs have in common: options that mean the same everywhere, answers, asking first, failing.

Belongs here: `--json` and its like, one document or lines on standard output, confirmation, the way an expected failure
ends. Does not belong here: what a verb says of its own matter.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Go on without being asked, in production too.")]
Env = Annotated[
    str | None, typer.Option("--env", help="The environment you mean, such as `prod`; unset: HOTDASH_ENVIRONMENT.")
]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a file is out of date.")]


class WrongUsage(HotdashError):
    """The words of the command line do not go together."""

    exit_code: ClassVar[int] = 2


class Verbs(TyperGroup):
    """The root of all verbs: an expected failure is one line on standard error and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was asked for."""
        from pydantic import ValidationError

        try:
            return super().invoke(ctx)
        except HotdashError as error:
            reason, code = str(error), error.exit_code
        except ValidationError as error:
            first = error.errors()[0]
            variable = "HOTDASH_" + ".".join(str(part) for part in first["loc"]).upper().removeprefix("HOTDASH_")
            reason, code = f"{variable}: {first['msg']}", WrongUsage.exit_code
        except BrokenPipeError:
            # Whoever read the answer has seen enough; typer ends quietly.
            raise
        except OSError as error:
            failed = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
            reason, code = f"{failed}; mend that, then run the command again", 1
        note(f"hotdash: {reason}")
        raise typer.Exit(code)


def say(document: object, lines: Iterable[str], as_json: bool = False) -> None:
    """The answer of a verb: the document in one line of JSON, or the lines."""
    if as_json:
        print(json.dumps(document, default=_plain))
    else:
        for line in lines:
            print(line)


def note(line: str) -> None:
    """A line beside the answer: progress, warnings."""
    print(line, file=sys.stderr, flush=True)


def picked(record: object, *names: str) -> dict[str, Any]:
    """These attributes of a record, as an entry of a document."""
    return {name: getattr(record, name) for name in names}


def counts(rows: Mapping[str, int]) -> list[str]:
    """Tables and how many rows of each, a line a table."""
    return [f"{table:26} {count:>8,}" for table, count in rows.items()]


def must_ask(*, goes_on: bool, as_json: bool = False) -> bool:
    """Whether to `ask` before anything changes: unless told to go on. Refused where nobody can be asked."""
    if goes_on:
        return False
    if as_json or not somebody_answers():
        raise SafetyRefusal("nobody can be asked here: look with --dry-run first, then give --yes")
    return True


def ask(question: str, otherwise: str = "") -> None:
    """Go on after a yes; else say what did not happen and end with exit code 3."""
    if not typer.confirm(question):
        if otherwise:
            print(otherwise)
        raise typer.Exit(SafetyRefusal.exit_code)


def refuse_production(reason: str, env: str | None = None) -> None:
    """Refuse where this is production, by `env` or by the settings."""
    if is_production(env):
        raise SafetyRefusal(reason)


def is_production(env: str | None = None) -> bool:
    """Whether the environment meant, or the one of the settings, is production."""
    from hotdash_pipelines.settings import get_settings

    return "prod" in (env, get_settings().stage)


@contextmanager
def refusals_in(as_json: bool) -> Iterator[None]:
    """With --json, a refusal is a document on standard output as well."""
    try:
        yield
    except SafetyRefusal as refusal:
        say({"refused": str(refusal)}, (), as_json)
        raise


def somebody_answers() -> bool:
    """Whether a person sits at standard input."""
    return sys.stdin.isatty()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
