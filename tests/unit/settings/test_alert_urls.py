"""HOTDASH_ALERT_URLS: what its entries mean, and that no mistake in it repeats an address."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from hotdash_pipelines.services.connections import check_alert_channels
from hotdash_pipelines.settings import Settings, SettingsError
from hotdash_pipelines.settings.alert_urls import parse_alert_urls


def test_entries_are_told_apart_by_commas_and_spaces_and_keep_commas_of_their_own() -> None:
    entries = parse_alert_urls(
        "mailtos://u:p@mail.example.org?to=a@example.org,b@example.org, team:support+high=msteams://x/y,"
        "critical=pagerduty://key@i\n  critical=pagerduty://other@i,"
    )
    assert [(entry.name, entry.owners, entry.severity) for entry in entries] == [
        ("all mailtos", (), None),
        ("team:support+high msteams", ("team:support",), "high"),
        ("critical pagerduty", (), "critical"),
        ("critical pagerduty #2", (), "critical"),
    ]
    assert entries[0].url.get_secret_value() == "mailtos://u:p@mail.example.org?to=a@example.org,b@example.org"
    assert entries[3].url.get_secret_value() == "pagerduty://other@i"
    assert parse_alert_urls("") == parse_alert_urls(" , ") == ()


def test_an_address_with_a_question_mark_and_equals_is_no_selector() -> None:
    [entry] = parse_alert_urls("json://127.0.0.1/x?+Token=hunter2&cto=2")
    assert (entry.name, entry.owners) == ("all json", ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hunter2", "entry 1 is no address"),
        ("json://a critical=hunter2", "entry 2 is no address"),
        ("hunter2=json://a", "entry 1: before = stand owners such as team:support and one of critical, high"),
        ("high+critical=json://hunter2", "entry 1 names two severities"),
    ],
)
def test_a_mistake_is_named_by_its_number_and_never_by_its_text(
    text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTDASH_ALERT_URLS", text)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_command_says_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDASH_ALERT_URLS", "json://a critical=hunter2")
    ran = subprocess.run(
        [sys.executable, "-m", "hotdash_pipelines.cli", "doctor"], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("hotdash: HOTDASH_ALERT_URLS: Value error, entry 2 is no address")
    assert (ran.stdout, ran.stderr.count("\n")) == ("", 1)
    assert "hunter2" not in ran.stderr


def test_no_address_shows_in_the_settings_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDASH_ALERT_URLS", "json://hunter2")
    settings = Settings()
    assert settings.alert_entries[0].name == "all json"
    assert "hunter2" not in repr(settings) + repr(settings.alert_entries)


def test_an_address_that_apprise_cannot_read_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_ALERT_URLS", "json://127.0.0.1 high=discord://hunter2")
    with pytest.raises(SettingsError, match="cannot read the address of 'high discord'") as caught:
        check_alert_channels(Settings())
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("HOTDASH_ALERT_URLS", "json://127.0.0.1")
    check_alert_channels(Settings())
