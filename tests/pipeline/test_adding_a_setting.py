"""docs/how-to/add-a-setting.md followed to the letter in a copy of the project."""

from pathlib import Path

import pytest

from tests.pipeline.harness.homes import copy_of_the_project
from tests.pipeline.harness.snippets import follow, run

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

_READ = "python -c 'from hotdash_pipelines.settings import get_settings; print(get_settings().exports_days)'"


def test_a_field_is_all_it_takes(tmp_path: Path) -> None:
    root = copy_of_the_project(tmp_path / "hotdash")
    follow("add-a-setting.md", root)
    assert "| `HOTDASH_EXPORTS_DAYS` | `365` | How long exports are kept. |" in (root / "docs/settings.md").read_text()
    assert run(_READ, root).strip() == "365"
    assert run(f"HOTDASH_EXPORTS_DAYS=30 {_READ}", root).strip() == "30"
    refused = run("HOTDASH_EXPORTS_DAYS=0 hotdash housekeeping plan 2>&1 || echo refused with $?", root)
    assert "hotdash: HOTDASH_EXPORTS_DAYS: Input should be greater than or equal to 1" in refused
    assert "refused with 2" in refused
    run("ruff check . && lint-imports && basedpyright && hotdash docs --check", root)
    run("python -m pytest -q tests/unit/settings tests/unit/house/test_docs.py", root)
