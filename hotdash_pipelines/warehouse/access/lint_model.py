"""What a lint of the schema is, and what it finds. Does not belong here: the lints themselves (its neighbours)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Lint:
    """One way to leave a door open.

    `find` gives (object, detail) of each place. `problem` and `remedy` are sentences with {object} and {detail}.
    """

    id: str
    problem: str
    remedy: str
    find: "Callable[[psycopg.Connection[Any]], Iterable[tuple[str, str | None]]]"


@dataclass(frozen=True)
class LintFinding:
    """One open door: the lint's id, where, what is wrong with it, what to do."""

    id: str
    object: str
    problem: str
    remedy: str
