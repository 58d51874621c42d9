"""The dimensions of quality and the severities of checks: one record each, and all else follows from the records.

Belongs here: what each means, which dbt tests belong to it, what a failure does. Does not belong here: scores (the SLAs
of type check_rate compute them, every dimension alike), checks (suites.py, dbt_project/).
To add a dimension is to add its record, and its row in docs/runbooks/quality-check-failed.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.sla import Definition


class DimensionError(HotdashError, ValueError):
    """A dimension or severity stands twice, lacks something, or is not known. The message names it."""


@dataclass(frozen=True)
class Dimension:
    """A side of quality that checks are counted by.

    `usual_cause` is what the runbook says of its failures, `dbt_tests` are the kinds of dbt test that look at it.
    """

    name: str
    meaning: str
    usual_cause: str
    dbt_tests: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CheckSeverity:
    """How bad a failed check is. One that `stops` may be blocking, and ends the run if it is."""

    name: str
    meaning: str
    stops: bool

    @property
    def stored(self) -> str:
        """What `ops.check_results` keeps of it, which is what a failure does."""
        return "error" if self.stops else "warn"


_Record = TypeVar("_Record", Dimension, CheckSeverity)


def registered(*records: _Record) -> Mapping[str, _Record]:
    """The records by name. Raises DimensionError for one that stands twice or says only half of itself."""
    for record in records:
        silent = [field.name for field in fields(record) if getattr(record, field.name) == ""]
        if silent:
            raise DimensionError(f"{record.name or 'a record'} of quality/dimensions.py lacks {silent[0]}")
    names = [record.name for record in records]
    if twice := _twice(names):
        raise DimensionError(f"{twice} is registered twice in quality/dimensions.py")
    if twice := _twice(test for record in records if isinstance(record, Dimension) for test in record.dbt_tests):
        raise DimensionError(f"the dbt test {twice} belongs to two dimensions in quality/dimensions.py")
    return dict(zip(names, records, strict=True))


def _twice(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


DIMENSIONS = registered(
    Dimension(
        "completeness",
        meaning="Nothing is missing: rows, days, values that must be there.",
        usual_cause="a partition was never loaded; a page of a response was lost",
        dbt_tests=frozenset({"not_null"}),
    ),
    Dimension(
        "accuracy",
        meaning="Values are as they can be in reality: amounts, quantities, counts.",
        usual_cause="the source sends a new state or unit; the contract has to learn it",
    ),
    Dimension(
        "consistency",
        meaning="What is said in two places is the same in both: sums, keys, counts of tables.",
        usual_cause="parts of one order were loaded at different times; a model counts rows twice in a join",
        dbt_tests=frozenset(
            {
                "equal_sums",
                "expression_is_true",
                "expression_is_true_of_most",
                "foreign_keys_exist",
                "has_unknown_member",
                "known_time_zone",
                "no_row_is_missing",
                "one_current_row",
                "relationships",
                "relationships_tenant",
                "row_security_hides_nothing",
                "sequential_values",
            }
        ),
    ),
    Dimension(
        "timeliness",
        meaning="The newest row is as young as promised.",
        usual_cause="the nightly run or the source is late ([run-failed.md](run-failed.md)); a quiet shop",
    ),
    Dimension(
        "uniqueness",
        meaning="What is one thing stands in one row.",
        usual_cause="a table was changed by hand; a key of the source is not what the contract says",
        dbt_tests=frozenset({"unique", "unique_combination"}),
    ),
    Dimension(
        "validity",
        meaning="Values have the form and the set that the contract names.",
        usual_cause="the source sends a new state or unit; the contract has to learn it",
        dbt_tests=frozenset({"accepted_values"}),
    ),
)

CHECK_SEVERITIES = registered(
    CheckSeverity("critical", meaning="What follows would be wrong.", stops=True),
    CheckSeverity("warning", meaning="Somebody has to look; what follows stays usable.", stops=False),
    CheckSeverity("info", meaning="Good to know.", stops=False),
)

_OF_DBT_TESTS = {test: dimension for dimension in DIMENSIONS.values() for test in dimension.dbt_tests}


def dimension_of(name: str, whose: str) -> Dimension:
    """The dimension of that name; `whose` names the check that asks. Raises DimensionError for an unknown one."""
    if name not in DIMENSIONS:
        raise DimensionError(f"{whose}: {name!r} is no dimension of quality; known are {', '.join(DIMENSIONS)}")
    return DIMENSIONS[name]


def dimension_of_dbt_test(node: Mapping[str, Any]) -> Dimension:
    """The dimension of a test of dbt's manifest: what its meta says, else what its kind says.

    Raises DimensionError for a test of a kind that no dimension knows.
    """
    declared = {**node.get("meta", {}), **node.get("config", {}).get("meta", {})}.get("dimension")
    if declared is not None:
        return dimension_of(declared, f"the dbt test {node['name']}")
    kind = (node.get("test_metadata") or {}).get("name", "a query of its own")
    if kind not in _OF_DBT_TESTS:
        raise DimensionError(
            f"the dbt test {node['name']} is of a kind that no dimension knows ({kind}): "
            "add the kind to a record of quality/dimensions.py, or meta.dimension to the test"
        )
    return _OF_DBT_TESTS[kind]


def check_rated(definitions: Iterable[Definition]) -> None:
    """Raise DimensionError for an SLA on the score of a dimension that is not known."""
    for definition in definitions:
        if "dimension" in definition.params:
            dimension_of(str(definition.params["dimension"]), definition.name)
