"""docs/how-to/add-a-setting.md followed to the letter in a copy of the project."""

from pathlib import Path

import pytest

from tests.guides import run
from tests.pipeline.guides.copies import done

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("guides")]

_READ = "python -c 'from hotdash_pipelines.settings import get_settings as read; print(read().exports_days)'"


def test_a_field_is_all_it_takes(project: Path) -> None:
    page = (project / "docs" / "settings.md").read_text()
    assert "| `HOTDASH_EXPORTS_DAYS` | `365` | How long exports are kept. |" in page
    assert done(_READ, project).strip() == "365"
    assert done(f"HOTDASH_EXPORTS_DAYS=30 {_READ}", project).strip() == "30"
    refused = run("HOTDASH_EXPORTS_DAYS=0 hotdash housekeeping plan", project)
    assert refused.returncode == 2
    assert refused.stderr == "hotdash: HOTDASH_EXPORTS_DAYS: Input should be greater than or equal to 1\n"
