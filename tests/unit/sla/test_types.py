"""The types of SLAs: whole records or a refusal that names the type."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.sla import SlaError, SlaType, load_definitions, sla_types
from hotdash_pipelines.sla.definitions import kinds
from hotdash_pipelines.sla.definitions.kinds import Parameter, observes
from hotdash_pipelines.sla.definitions.page import with_types

WHOLE = SlaType(name="rows_lost", kind="level", units=("count",), title="rows were lost")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_types", dict(kinds._types))


def look(definitions: Any, looking: Any) -> list[Any]:
    """How many rows were lost."""
    return []


def look_in_silence(definitions: Any, looking: Any) -> list[Any]:
    return []


def test_a_whole_record_is_a_type_with_its_observer() -> None:
    observes(WHOLE)(look)
    assert kinds.sla_type("rows_lost") == replace(WHOLE, observer=look)
    assert kinds.sla_type("rows_lost").looks_at == "How many rows were lost."


def test_a_type_registered_twice_is_refused_with_both_places() -> None:
    observes(WHOLE)(look)
    with pytest.raises(SlaError, match=r"SLA type rows_lost is registered twice: by .*look and by .*look_in_silence"):
        observes(replace(WHOLE, units=("ms",)))(_documented(look_in_silence))


def _documented(observer: Any) -> Any:
    observer.__doc__ = "The same again."
    return observer


@pytest.mark.parametrize(
    "change, lacking",
    [
        ({"name": "Rows lost"}, "name in small letters"),
        ({"kind": ""}, "kind"),
        ({"kind": "rate"}, "kind"),
        ({"units": ()}, "units"),
        ({"units": ("bytes",)}, "units"),
        ({"kind": "age", "units": ("percent",)}, "units"),
        ({"title": " "}, "title"),
        ({"title": None}, "title"),
    ],
)
def test_half_a_type_is_refused_by_name_with_what_it_lacks(change: dict[str, Any], lacking: str) -> None:
    half = replace(WHOLE, **change)
    with pytest.raises(SlaError, match=rf"SLA type {half.name} \(.*\.look\) has no {lacking}"):
        observes(half)(look)
    assert half.name not in {known.name for known in sla_types()}


def test_an_observer_that_does_not_say_what_it_looks_at_is_half_a_type() -> None:
    look_in_silence.__doc__ = None
    with pytest.raises(SlaError, match=r"SLA type rows_lost .* has no docstring"):
        observes(WHOLE)(look_in_silence)


def test_a_record_that_no_observer_stands_below_is_no_type(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("slas: [{name: a, dataset: b/c, type: rows_lost, target: 1}]")
    with pytest.raises(SlaError, match=r"a\.yaml: a: type: Input should be 'availability', .* or 'sql'"):
        load_definitions(tmp_path)


@pytest.mark.parametrize(
    "given, wrong",
    [
        ({}, "params lacks of, which rows_lost needs"),
        ({"of": "x", "in": "y"}, "params has in, which rows_lost does not know"),
        ({"of": "x", "days": 0.5}, "params: days must be a number of at most 30"),
        ({"of": "x", "days": 30}, ""),
    ],
)
def test_parameters_are_those_of_the_record(given: dict[str, object], wrong: str) -> None:
    params = (Parameter("of", is_needed=True), Parameter("days", largest=30))
    assert replace(WHOLE, params=params).objection(given) == wrong


def test_the_page_on_slas_has_the_types_and_what_they_look_at() -> None:
    page = (PROJECT_ROOT / "docs" / "slas.md").read_text()
    assert with_types(page, sla_types()) == page
    observes(WHOLE)(look)
    row = "| `rows_lost` | a number, at most | count |  | How many rows were lost. |"
    assert row in with_types(page, sla_types())
    with pytest.raises(ValueError, match="the page has no"):
        with_types("# SLAs", sla_types())
