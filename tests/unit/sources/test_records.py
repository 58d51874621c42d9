"""One record a source: what follows from it, and the refusal of a source that is there by half or twice."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.settings import PROJECT_ROOT, every_setting
from hotdash_pipelines.sources import all_sources, whole

EVERY_SOURCE = pytest.mark.parametrize("source", all_sources().values(), ids=lambda source: source.name)

RECORD = """
from hotdash_pipelines.settings import SourceSettings
from hotdash_pipelines.sources.source import Source


class ToySettings(SourceSettings):
    toy_token: str | None = None

    @property
    def is_given(self) -> bool:
        return bool(self.toy_token)

    def missing(self) -> str | None:
        return None


SOURCE = Source(name="toy", label="Toy", settings=ToySettings, open=lambda _: None, advice="set HOTDASH_TOY_TOKEN")
"""
CONTRACT = """
source: toy
stream: blocks
version: 1
owner: team:data
semantics: snapshot
description: One row is one block.
records: blocks
key: [block_id]
fields:
  block_id: {type: int64, path: id, nullable: false, description: "Number of the block."}
"""
STREAMS = '@fetches("toy", "blocks")\ndef fetch_blocks(client, contract, window): ...\n'
WHOLE = {"sources/toy/__init__.py": RECORD, "sources/toy/streams.py": STREAMS, "contracts/toy/blocks.yaml": CONTRACT}


@EVERY_SOURCE
def test_every_source_has_streams_settings_and_advice_that_names_them(source):
    assert [contract for contract in load_contracts() if contract.source == source.name]
    assert {f"HOTDASH_{name.upper()}" for name in source.settings.model_fields} <= every_setting().keys()
    named = re.findall(r"HOTDASH_[A-Z0-9_]+", source.advice)
    assert named
    assert set(named) <= every_setting().keys()


@EVERY_SOURCE
def test_half_of_any_source_says_what_is_missing_and_nothing_set_misses_nothing(source):
    """Every credential alone: either it is enough, or the variables beside it are named, or it counts as none."""
    assert source.settings().missing() is None
    assert not source.settings().is_given
    for name in source.settings.model_fields:
        half = source.settings().model_copy(update={name: "given"})
        lacking = half.missing()
        assert lacking is None or re.search(rf"HOTDASH_{source.name.upper()}_", lacking)


def test_the_shipped_sources_are_whole():
    assert whole(load_contracts()) == load_contracts()


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[dict[str, str]], str]:
    """Adds files to a copy of the package and tells what reading sources and contracts says then."""
    package = tmp_path / "hotdash_pipelines"
    for room in ("base", "contracts", "settings", "sources"):
        shutil.copytree(PROJECT_ROOT / "hotdash_pipelines" / room, package / room)
    shutil.copy(PROJECT_ROOT / "hotdash_pipelines" / "__init__.py", package)

    def read(files: dict[str, str]) -> str:
        for name, text in files.items():
            (package / name).parent.mkdir(exist_ok=True)
            (package / name).write_text(text)
        program = (
            "from hotdash_pipelines.base.errors import HotdashError\n"
            "from hotdash_pipelines.contracts import load_contracts\n"
            "try:\n"
            "    from hotdash_pipelines.settings import Settings\n"
            "    from hotdash_pipelines.sources import whole\n"
            "    Settings()\n"
            "    print('whole', *sorted({contract.source for contract in whole(load_contracts())}))\n"
            "except HotdashError as error:\n"
            "    print(error)\n"
        )
        finished = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    return read


def test_a_whole_fourth_source_is_taken(plant):
    assert plant(WHOLE) == " ".join(["whole", *sorted({*all_sources(), "toy"})])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sources/toy/__init__.py": None}, "contracts/toy/ has no source: add sources/toy/__init__.py"),
        ({"sources/toy/__init__.py": ""}, "sources/toy/__init__.py has no SOURCE"),
        ({"sources/toy/__init__.py": "SOURCE = 'toy'"}, "sources/toy/__init__.py has no SOURCE"),
        (
            {"sources/toy/__init__.py": RECORD.replace("def missing", "def lacking")},
            "sources/toy: its settings do not say missing",
        ),
        ({"contracts/toy/blocks.yaml": None}, "sources/toy has no contract"),
        ({"contracts/toy/blocks.yaml": None}, "toy/blocks is fetched but has no contract"),
        ({"sources/toy/streams.py": None}, "no fetch function for toy/blocks"),
        ({"sources/toy/streams.py": ""}, 'no fetch function for toy/blocks: mark one with @fetches("toy", "blocks")'),
        ({"sources/toy/streams.py": STREAMS * 2}, "toy/blocks has 2 fetch functions"),
        ({"sources/toy_again/__init__.py": RECORD}, "sources/toy_again/__init__.py: its SOURCE is named toy"),
        ({"sources/toy/__init__.py": RECORD.replace("toy_token", "home")}, "fields begin with toy_, but not home"),
    ],
)
def test_half_a_source_or_a_second_one_is_refused_by_name(plant, changed, words):
    files = {name: text for name, text in {**WHOLE, **changed}.items() if text is not None}
    assert words in plant(files)
