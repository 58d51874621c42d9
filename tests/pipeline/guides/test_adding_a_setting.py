"""docs/how-to/add-a-setting.md followed to the letter in a copy of the project."""

from pathlib import Path

import pytest

from tests.guides import run
from tests.pipeline.guides.copies import done, followed

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

_READ = "python -c 'from hotdash_pipelines.settings import get_settings as read; print(read().exports_days)'"


def test_a_field_is_all_it_takes(tmp_path: Path) -> None:
    root = followed("add-a-setting.md", tmp_path / "hotdash")
    assert "| `HOTDASH_EXPORTS_DAYS` | `365` | How long exports are kept. |" in (root / "docs/settings.md").read_text()
    assert done(_READ, root).strip() == "365"
    assert done(f"HOTDASH_EXPORTS_DAYS=30 {_READ}", root).strip() == "30"
    refused = run("HOTDASH_EXPORTS_DAYS=0 hotdash housekeeping plan", root)
    assert refused.returncode == 2
    assert refused.stderr == "hotdash: HOTDASH_EXPORTS_DAYS: Input should be greater than or equal to 1\n"
    done("make check", root)
    done("python -m pytest -q tests/unit/settings tests/unit/house/test_docs.py", root)
