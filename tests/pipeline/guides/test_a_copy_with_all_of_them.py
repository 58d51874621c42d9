"""The checks that the guides end with, over one copy in which all of them were followed."""

import json
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.pipeline.guides.copies import MADE, done

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.xdist_group("guides"),
    pytest.mark.timeout(1200),
]

INVENTORY = "tests/pipeline/inventory.json"
# Of `make test` what looks at the files that the guides make or change.
TESTS = "tests/unit/sources/test_records.py tests/unit/settings tests/unit/dbt tests/unit/house/test_docs.py"


def test_the_checks_are_green(project: Path) -> None:
    done("make check", project)
    done(f"python -m pytest -q {TESTS}", project)


def test_nothing_but_the_new_assets_came_into_the_inventory(project: Path) -> None:
    before, after = (json.loads((root / INVENTORY).read_text())["assets"] for root in (PROJECT_ROOT, project))
    assert set(after) - set(before) == set().union(*MADE.values())
    assert set(before) - set(after) == set()
