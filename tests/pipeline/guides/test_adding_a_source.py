"""docs/how-to/add-a-source.md followed to the letter in a copy of the project: Judge.me is in the night."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.sources import all_sources
from tests.pipeline.guides.copies import done, followed
from tests.pipeline.harness.homes import Home
from tests.pipeline.harness.stack import Ran

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.xdist_group("adding-a-source"),
    pytest.mark.timeout(1200),
]

GUIDE = "add-a-source.md"
MADE = {"lake_judgeme/reviews", "raw_judgeme/reviews", "staging/stg_judgeme__reviews"}
_DERIVED = """
import json
from hotdash_pipelines.definitions import defs
from hotdash_pipelines.orchestration import keys
job = defs().resolve_job_def(keys.NIGHTLY_JOB)
night = sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
print(json.dumps({"night": night, "pools": keys.pools()}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project after the guide."""
    return followed(GUIDE, tmp_path_factory.mktemp("project") / "hotdash")


@pytest.fixture(scope="module")
def home(project: Path) -> Iterator[Home]:
    """A home below the copy."""
    home = Home(project / ".hotdash", {"PYTHONPATH": str(project)}, folder=project)
    yield home
    home.destroy()


@pytest.fixture(scope="module")
def ran(home: Home) -> Ran:
    """A day loaded by the copy."""
    return home.up(1)


def test_the_checks_are_green_and_the_inventory_has_it(project: Path) -> None:
    done("make check", project)
    done("python -m pytest -q tests/unit/sources/test_records.py tests/unit/settings tests/unit/dbt", project)
    before = json.loads((PROJECT_ROOT / "tests/pipeline/inventory.json").read_text())["assets"]
    after = json.loads((project / "tests/pipeline/inventory.json").read_text())["assets"]
    assert set(after) - set(before) == MADE


def test_it_is_in_the_night_and_has_a_pool(project: Path) -> None:
    (project / "derived.py").write_text(_DERIVED)
    derived = json.loads(done("python derived.py", project).splitlines()[-1])
    assert set(derived["night"]) >= MADE
    assert derived["pools"]["judgeme_api"] == 1


def test_it_is_loaded_from_the_stand_in(ran: Ran) -> None:
    assert ran.code == 0, ran.err
    assets = ran.json()["assets"]
    assert {name: assets[name] for name in MADE} == dict.fromkeys(MADE, 40)


def test_doctor_and_the_settings_page_name_its_variables(home: Home, project: Path) -> None:
    entries = {entry["subject"]: entry for entry in json.loads(home.run("doctor", "--json").out)}
    assert entries.keys() >= all_sources().keys() | {"judgeme"}
    assert "HOTDASH_JUDGEME_TOKEN" in entries["judgeme"]["advice"]
    assert "`HOTDASH_JUDGEME_TOKEN`" in (project / "docs/settings.md").read_text()


def test_half_of_it_is_refused_by_name_before_anything_runs(home: Home, project: Path, ran: Ran) -> None:
    assert ran.code == 0
    streams = project / "hotdash_pipelines/sources/judgeme/streams.py"
    text = streams.read_text()
    streams.write_text(text.replace("@fetches", "# @fetches"))
    try:
        refused = home.up(1)
        assert refused.code == 1
        assert "no fetch function for judgeme/reviews" in refused.err
        (entry,) = [entry for entry in json.loads(home.run("doctor", "--json").out) if entry["subject"] == "sources"]
        assert "no fetch function for judgeme/reviews" in entry["finding"]
    finally:
        streams.write_text(text)


def test_nothing_of_it_is_in_the_shipped_project() -> None:
    assert "judgeme" not in all_sources()
