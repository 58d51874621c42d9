"""Expectation suites: the typed form of `expectations/<schema>.<table>.json`.

Belongs here: reading and validating suite files without importing Great Expectations, which drops an entry it does not
understand without a word. A typo therefore has to stop the load here.
Does not belong here: running a suite (run.py), keeping what came out (results.py).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.quality.dimensions import CHECK_SEVERITIES, DIMENSIONS

EXPECTATIONS_DIR = Path(__file__).resolve().parents[2] / "expectations"

# An expectation type of GX and its arguments; a test compares the file with the pinned version.
_TYPES_FILE = Path(__file__).with_name("expectation_types.json")
_SCHEMA_FILE = Path(__file__).with_name("suite.schema.json")

_FLOOR = "expect_table_row_count_to_be_between"
ROWS_QUERY = "unexpected_rows_query"
_HOURS_FROM_NOW = "$hours_from_now"
_DAYS_FROM_NOW = "$days_from_now"
_COLUMN_KWARGS = ("column", "column_A", "column_B", "column_list")
# Constants only in the select list: a query that returns no column cannot carry personal data anywhere.
_QUERY_OPENINGS = (
    "SELECT 1 AS broken FROM {batch}",
    "WITH batch AS (SELECT * FROM {batch}) SELECT 1 AS broken FROM ",
)
_OTHER_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_]+)\.([a-z_]+)\b", re.IGNORECASE)
_WALL_CLOCK = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|age)\s*\("
    r"|\b(current_date|current_time|current_timestamp|localtime|localtimestamp)\b"
    r"|'(now|today|yesterday|tomorrow)'",
    re.IGNORECASE,
)


class SuiteError(HotdashError, ValueError):
    """A suite file is wrong. The message names the file and the entry."""


@dataclass(frozen=True)
class Expectation:
    """One check of a table. `check` is its stable name; `blocking` stops what is downstream of the table."""

    check: str
    type: str
    kwargs: Mapping[str, Any]
    severity: str
    dimension: str
    blocking: bool
    rule: str
    runbook: str
    description: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that the arguments name; a query's columns are not among them."""
        names: list[str] = []
        for name in _COLUMN_KWARGS:
            value = self.kwargs.get(name, ())
            names.extend([value] if isinstance(value, str) else value)
        return tuple(names)

    @property
    def compared_with(self) -> frozenset[str]:
        """Other tables that a query holds the rows against, as asset keys in text: `marts_core/dim_customer`."""
        query = str(self.kwargs.get(ROWS_QUERY, ""))
        return frozenset(f"{schema}/{table}" for schema, table in _OTHER_TABLE.findall(query))

    @property
    def needs_now(self) -> bool:
        """Whether the check compares with the present instant."""
        return any(_is_relative(value) for value in self.kwargs.values())

    def kwargs_at(self, now: datetime | None) -> dict[str, Any]:
        """The arguments: `{"$hours_from_now": -36}` becomes that instant, `{"$days_from_now": -3}` that UTC date.

        Raises ValueError when an instant is needed and `now` is None or has no offset.
        """
        return {name: _instant(value, now) if _is_relative(value) else value for name, value in self.kwargs.items()}


@dataclass(frozen=True)
class Suite:
    """The checks of one table; `asset` is its asset key as text, `raw_shopify/orders`."""

    name: str
    asset: str
    expectations: tuple[Expectation, ...]

    @property
    def schema(self) -> str:
        """The Postgres schema of the table."""
        return self.name.partition(".")[0]

    @property
    def table(self) -> str:
        """The table's name within its schema."""
        return self.name.partition(".")[2]

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of the checks, in file order."""
        return tuple(expectation.check for expectation in self.expectations)

    def select(self, selected: set[str] | None) -> tuple[Expectation, ...]:
        """The expectations whose check is in `selected`, all for None. Raises SuiteError for an unknown name."""
        unknown = (selected or set()) - set(self.checks)
        if unknown:
            raise SuiteError(f"{self.name}: no such check: {', '.join(sorted(unknown))}")
        return tuple(found for found in self.expectations if selected is None or found.check in selected)


def load_suites(folder: Path = EXPECTATIONS_DIR) -> tuple[Suite, ...]:
    """Every suite in `folder`, sorted by name. Raises SuiteError naming the file and the entry that is wrong."""
    if not folder.is_dir():
        raise SuiteError(f"{folder}: no such folder of expectation suites")
    return tuple(load_suite(path) for path in sorted(folder.glob("*.json")))


def load_suite(path: Path) -> Suite:
    """One suite file. Raises SuiteError naming the file and the entry that is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SuiteError(f"{path.name}: cannot be read as JSON: {error}") from error
    problem = next(_problems(path, content), None)
    if problem:
        raise SuiteError(f"{path.name}: {problem}")
    return Suite(
        content["name"], content["meta"]["asset"], tuple(_expectation(entry) for entry in content["expectations"])
    )


@cache
def known_types() -> Mapping[str, Mapping[str, list[str]]]:
    """Expectation types of the pinned GX: `required` and `optional` arguments of each."""
    types: dict[str, dict[str, list[str]]] = json.loads(_TYPES_FILE.read_text(encoding="utf-8"))
    return types


def _expectation(entry: Mapping[str, Any]) -> Expectation:
    meta = entry["meta"]
    return Expectation(
        check=meta["check"],
        type=entry["type"],
        kwargs=entry["kwargs"],
        severity=entry["severity"],
        dimension=meta["dimension"],
        blocking=meta["blocking"],
        rule=meta["rule"],
        runbook=meta["runbook"],
        description=meta["description"],
    )


def _problems(path: Path, content: Any) -> Iterator[str]:
    """What is wrong with a suite, the form first: later steps rely on it."""
    yield from _form_problems(content)
    if path.stem != content["name"]:
        yield f"the name {content['name']!r} must equal the file's"
    if content["meta"]["asset"] != content["name"].replace(".", "/"):
        yield f"meta.asset {content['meta']['asset']!r} must be schema/table of {content['name']!r}"
    checks: set[str] = set()
    for number, entry in enumerate(content["expectations"], start=1):
        check = entry["meta"]["check"]
        where = f"expectation {number} ({check})"
        if check in checks:
            yield f"{where}: the check name is used twice"
        checks.add(check)
        for problem in _entry_problems(entry):
            yield f"{where}: {problem}"
    has_floor = any(_is_floor(entry) for entry in content["expectations"])
    may_be_empty = "may_be_empty" in content["meta"]
    if not has_floor and not may_be_empty:
        yield (
            f"no row-count floor: add {_FLOOR} with min_value >= 1, for most expectations pass on no rows, "
            "or say in meta.may_be_empty why the table may be empty"
        )
    if has_floor and may_be_empty:
        yield "meta.may_be_empty contradicts the row-count floor"


@cache
def _form() -> Any:
    """The validator of the schema file, which leaves it to the records which dimensions and severities there are."""
    from jsonschema import Draft202012Validator

    schema = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    entry = schema["$defs"]["expectation"]["properties"]
    entry["severity"]["enum"] = list(CHECK_SEVERITIES)
    entry["meta"]["properties"]["dimension"]["enum"] = list(DIMENSIONS)
    return Draft202012Validator(schema)


def _form_problems(content: Any) -> Iterator[str]:
    for error in sorted(_form().iter_errors(content), key=lambda error: list(map(str, error.absolute_path))):
        place = list(error.absolute_path)
        if place[:1] == ["expectations"] and len(place) > 1:
            number = int(place[1])
            entry = content["expectations"][number]
            meta = entry.get("meta") if isinstance(entry, dict) else None
            check = meta.get("check", "unnamed") if isinstance(meta, dict) else "unnamed"
            yield f"expectation {number + 1} ({check}): {'.'.join(map(str, place[2:])) or 'entry'}: {error.message}"
        else:
            yield f"{'.'.join(map(str, place)) or 'file'}: {error.message}"


def _entry_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    arguments = known_types().get(entry["type"])
    if arguments is None:
        yield f"unknown expectation type {entry['type']!r}"
        return
    missing = [name for name in arguments["required"] if name not in entry["kwargs"]]
    if missing:
        yield f"kwargs lack {', '.join(missing)}"
    unknown = sorted(set(entry["kwargs"]) - set(arguments["required"]) - set(arguments["optional"]))
    if unknown:
        yield f"kwargs that {entry['type']} does not take: {', '.join(unknown)}"
    if entry["meta"]["blocking"] and not CHECK_SEVERITIES[entry["severity"]].stops:
        stopping = " or ".join(name for name, severity in CHECK_SEVERITIES.items() if severity.stops)
        yield f"a blocking check must be {stopping}"
    for name, value in entry["kwargs"].items():
        if isinstance(value, dict) and not _is_relative(value):
            yield f'kwargs.{name}: the only objects taken are {{"{_HOURS_FROM_NOW}": n}} and {{"{_DAYS_FROM_NOW}": n}}'
    query = entry["kwargs"].get(ROWS_QUERY)
    if query is not None:
        yield from _query_problems(query)


def _query_problems(query: Any) -> Iterator[str]:
    if not isinstance(query, str) or not query.startswith(_QUERY_OPENINGS):
        yield f"the query must open with {' or '.join(map(repr, _QUERY_OPENINGS))}, so that it fetches no value"
    elif ";" in query:
        yield "the query must be one statement without a semicolon"
    elif _WALL_CLOCK.search(query):
        yield "the query reads the wall clock; the present instant is passed in as an argument only"


def _is_floor(entry: Mapping[str, Any]) -> bool:
    lowest = entry["kwargs"].get("min_value")
    counts_rows = entry["type"] == _FLOOR and "row_condition" not in entry["kwargs"]
    return counts_rows and isinstance(lowest, int) and lowest >= 1


def _is_relative(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    (unit, amount), *_ = value.items()
    return unit in (_HOURS_FROM_NOW, _DAYS_FROM_NOW) and isinstance(amount, int | float)


def _instant(value: Mapping[str, float], now: datetime | None) -> datetime | date:
    if now is None or now.tzinfo is None:
        raise ValueError("the suite compares with the present instant: pass now as an aware datetime")
    if _DAYS_FROM_NOW in value:
        return now.astimezone(UTC).date() + timedelta(days=value[_DAYS_FROM_NOW])
    return now + timedelta(hours=value[_HOURS_FROM_NOW])
