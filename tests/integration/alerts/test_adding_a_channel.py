"""docs/how-to/add-an-alert-channel.md done to a copy of the project, to the letter."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.integration.alerts.harness.loopback import loopback
from tests.pipeline.harness.homes import copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adding-a-channel")]

GUIDE = PROJECT_ROOT / "docs" / "how-to" / "add-an-alert-channel.md"


def steps() -> list[tuple[str, str]]:
    """The sentence and the code of each step."""
    return re.findall(r"^\*\*\d\. (.+?)\n\n```python\n(.+?)```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with what the guide says done to it."""
    root = copy_of_the_project(tmp_path_factory.mktemp("project") / "hotdash")
    (setting, field), (folder, channel), (way, entry) = steps()
    [core, alert_urls] = re.findall("`(.+?)`", setting)
    settings = root / core
    text = settings.read_text()
    below = text.index("\n    )\n", text.index(f"    {alert_urls}: ")) + len("\n    )\n")
    settings.write_text(text[:below] + field + text[below:])
    [name] = re.findall("`(.+?)`", folder)
    (root / name).parent.mkdir()
    (root / name).write_text(channel)
    [loopback_file, table] = re.findall("`(.+?)`", way)
    text = (root / loopback_file).read_text()
    end = text.index("\n}\n", text.index(f"{table}: ")) + 1
    (root / loopback_file).write_text(text[:end] + entry + text[end:])
    return root


def run(project: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HOTDASH_", "PYTEST_"))},
        "PYTHONPATH": str(project),
        "HOTDASH_HOME": str(project / ".hotdash"),
        **settings,
    }
    return subprocess.run(
        [sys.executable, *words], cwd=project, env=env, check=False, capture_output=True, text=True, timeout=600
    )


def hotdash(project: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run(project, "-m", "hotdash_pipelines.cli", *words, **settings)


def test_the_guide_names_this_test() -> None:
    assert f"tests/integration/alerts/{Path(__file__).name}" in GUIDE.read_text()
    assert "/relay/" in steps()[1][0]


def test_the_settings_page_follows(project: Path) -> None:
    assert hotdash(project, "docs").returncode == 0
    assert "`HOTDASH_RELAY_URL`" in (project / "docs" / "settings.md").read_text()
    assert hotdash(project, "docs", "--check").returncode == 0


def test_the_tests_of_every_channel_go_through_with_one_more(project: Path) -> None:
    ran = run(project, "-m", "pytest", "-v", "-p", "no:xdist", "tests/integration/alerts/test_every_channel.py")
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "takes_an_alert_from_the_outbox_to_its_server[relay] PASSED" in ran.stdout


def test_doctor_and_a_test_message_know_it(project: Path) -> None:
    with loopback() as server:
        address = f"http://127.0.0.1:{server.port}/x"
        ran = hotdash(project, "alerts", "test", "--channel", "relay", HOTDASH_RELAY_URL=address)
        assert (ran.returncode, ran.stdout) == (0, "sent to the relay by relay\n"), ran.stderr
        assert "nothing is wrong" in server.texts[0]
    examined = hotdash(project, "doctor", "--json", HOTDASH_RELAY_URL="nonsense").stdout
    assert "HOTDASH_RELAY_URL is no http(s) address" in examined
    assert "nonsense" not in examined


def test_half_a_channel_is_refused_by_name(project: Path) -> None:
    folder = project / "hotdash_pipelines" / "alerts" / "channels" / "half"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Nothing yet."""\n')
    try:
        ran = hotdash(project, "alerts", "test")
        assert ran.returncode == 2
        assert ran.stderr == (
            "hotdash: hotdash_pipelines.alerts.channels.half has no record: give it a CHANNEL, or no folder there\n"
        )
        loaded = run(project, "-c", "from hotdash_pipelines.definitions import defs; defs()")
        assert "channels.half has no record" in loaded.stderr
    finally:
        shutil.rmtree(folder)
