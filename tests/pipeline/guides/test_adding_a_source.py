"""docs/how-to/add-a-source.md followed to the letter in a copy of the project: Judge.me is in the night."""

import json
from pathlib import Path

import pytest

from hotdash_pipelines.sources import all_sources
from tests.pipeline.guides.copies import MADE, done
from tests.pipeline.harness.homes import Home
from tests.pipeline.harness.stack import Ran

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.xdist_group("guides"),
    pytest.mark.timeout(1200),
]

NEW = MADE["add-a-source.md"]
_DERIVED = """
import json
from hotdash_pipelines.definitions import defs
from hotdash_pipelines.orchestration import keys
job = defs().resolve_job_def(keys.NIGHTLY_JOB)
night = sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
print(json.dumps({"night": night, "pools": keys.pools()}))
"""


def test_it_is_in_the_night_and_has_a_pool(project: Path, tmp_path: Path) -> None:
    (tmp_path / "derived.py").write_text(_DERIVED)
    derived = json.loads(done(f"python {tmp_path}/derived.py", project).splitlines()[-1])
    assert set(derived["night"]) >= NEW
    assert derived["pools"]["judgeme_api"] == 1


def test_it_is_loaded_from_the_stand_in(ran: Ran) -> None:
    assert ran.code == 0, ran.err
    assets = ran.json()["assets"]
    assert {name: assets[name] for name in NEW} == dict.fromkeys(NEW, 40)


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
