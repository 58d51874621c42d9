"""`hotdash doctor` finds each planted problem, says what to do, and calls a machine well that is well."""

import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotdash_pipelines.alerts.channels.kinds import kinds
from hotdash_pipelines.cli import doctor
from hotdash_pipelines.cli.doctor import Diagnosis, examine
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources import all_sources
from hotdash_pipelines.warehouse.migrations.files import migrations
from tests.pipeline.harness.homes import Home, Served

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("served"), pytest.mark.timeout(900)]

SUBJECTS = ["python", "sqlalchemy", "dbt-core", "great-expectations", "disk", "port", "warehouse", "lake"]
SUBJECTS += [*all_sources(), *kinds()]


def diagnoses(monkeypatch: pytest.MonkeyPatch, home: Path, **settings: str) -> dict[str, Diagnosis]:
    """What doctor finds in a home under these `HOTDASH_` settings, by subject."""
    monkeypatch.setenv("HOTDASH_HOME", str(home))
    for name, value in settings.items():
        monkeypatch.setenv(f"HOTDASH_{name}", value)
    return {found.subject: found for found in examine(Settings())}


def must_mend(diagnosis: Diagnosis, advice: str) -> None:
    assert not diagnosis.is_fine
    assert diagnosis.is_fatal
    assert advice in diagnosis.advice
    assert "\n" not in diagnosis.finding


@pytest.mark.slow
def test_a_served_home_is_well_but_for_the_port_that_it_uses_itself(served: Served) -> None:
    ran = served.home.run("doctor", "--json")
    report = json.loads(ran.out)
    assert [entry["subject"] for entry in report] == SUBJECTS
    assert [entry["subject"] for entry in report if not entry["is_fine"]] == ["port"]
    assert ran.code == 0
    by_subject = {entry["subject"]: entry["finding"] for entry in report}
    assert "Postgres 18" in by_subject["warehouse"]
    assert migrations()[-1].revision in by_subject["warehouse"]


def test_an_empty_home_has_nothing_to_mend_and_nothing_is_started_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    ran = home.run("doctor")
    assert ran.code == 0, ran.out
    assert "mend" not in ran.out
    assert ran.out.count("note") == 3
    assert not home.path.exists()


def test_a_wrong_python_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(3, 10, 4)))
    must_mend(diagnoses(monkeypatch, tmp_path)["python"], "3.11, 3.12 or 3.13")


@pytest.mark.parametrize("package, version", [("sqlalchemy", "2.1.0"), ("dbt-core", "1.12.1")])
def test_a_package_that_breaks_its_partner_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, version: str
) -> None:
    import importlib.metadata

    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == package else real(name))
    must_mend(diagnoses(monkeypatch, tmp_path)[package], "make setup")


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    must_mend(diagnoses(monkeypatch, tmp_path)["disk"], "HOTDASH_HOME")


def test_a_taken_port_is_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        diagnosis = diagnoses(monkeypatch, tmp_path, WEBSERVER_PORT=str(taken.getsockname()[1]))["port"]
    assert not diagnosis.is_fine
    assert "HOTDASH_WEBSERVER_PORT" in diagnosis.advice


def test_a_warehouse_that_does_not_answer_is_found_without_telling_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    diagnosis = diagnoses(monkeypatch, tmp_path, DATABASE_URL="postgresql://owner:s3cret@127.0.0.1:9/hotdash")[
        "warehouse"
    ]
    must_mend(diagnosis, "HOTDASH_DATABASE_URL")
    assert "s3cret" not in f"{diagnosis}"


def test_a_lake_that_cannot_be_listed_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    must_mend(diagnoses(monkeypatch, tmp_path, LAKE_URL="ftp://bucket")["lake"], "HOTDASH_LAKE_URL")


@pytest.mark.slow
def test_each_refused_credential_is_found_by_its_cheapest_call(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint = served.home.endpoint()
    key = {**endpoint["ga4_service_account"], "client_email": "nobody@hotdash-demo.iam.gserviceaccount.com"}
    diagnosis = diagnoses(
        monkeypatch,
        tmp_path,
        SHOPIFY_BASE_URL=endpoint["url"],
        SHOPIFY_CLIENT_ID=endpoint["client_id"],
        SHOPIFY_CLIENT_SECRET="shpss_wrong",
        CHATWOOT_BASE_URL=endpoint["url"],
        CHATWOOT_ACCOUNT_ID="1",
        CHATWOOT_API_TOKEN="wrong-token",
        GA4_BASE_URL=endpoint["url"],
        GA4_PROPERTY_ID="424242",
        GA4_CREDENTIALS_JSON=json.dumps(key),
    )
    must_mend(diagnosis["shopify"], "HOTDASH_SHOPIFY_CLIENT_SECRET")
    must_mend(diagnosis["chatwoot"], "HOTDASH_CHATWOOT_API_TOKEN")
    must_mend(diagnosis["ga4"], "HOTDASH_GA4_CREDENTIALS_FILE")
    for secret in ("shpss_wrong", "wrong-token", key["private_key"][100:140]):
        assert secret not in f"{diagnosis}"


@pytest.mark.slow
def test_accepted_credentials_are_well(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    endpoint = served.home.endpoint()
    diagnosis = diagnoses(
        monkeypatch,
        tmp_path,
        SHOPIFY_BASE_URL=endpoint["url"],
        SHOPIFY_ACCESS_TOKEN=endpoint["static_token"],
        CHATWOOT_BASE_URL=endpoint["url"],
        CHATWOOT_ACCOUNT_ID="1",
        CHATWOOT_API_TOKEN=endpoint["chatwoot_token"],
    )
    assert diagnosis["shopify"].is_fine
    assert diagnosis["chatwoot"].is_fine
    must_mend(diagnosis["ga4"], "HOTDASH_GA4_PROPERTY_ID")


def test_missing_halves_of_credentials_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    diagnosis = diagnoses(
        monkeypatch,
        tmp_path,
        SHOPIFY_SHOP="some-shop.myshopify.com",
        CHATWOOT_BASE_URL="http://127.0.0.1:9",
        GA4_PROPERTY_ID="1",
        GA4_CREDENTIALS_FILE=str(tmp_path / "none.json"),
    )
    must_mend(diagnosis["shopify"], "HOTDASH_SHOPIFY_CLIENT_ID")
    must_mend(diagnosis["chatwoot"], "HOTDASH_CHATWOOT_API_TOKEN")
    must_mend(diagnosis["ga4"], "HOTDASH_GA4_CREDENTIALS_FILE")


def test_an_agents_chatwoot_token_is_found(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would silently see fewer conversations."""
    endpoint = served.home.endpoint()
    diagnosis = diagnoses(
        monkeypatch,
        tmp_path,
        CHATWOOT_BASE_URL=endpoint["url"],
        CHATWOOT_ACCOUNT_ID="1",
        CHATWOOT_API_TOKEN=endpoint["chatwoot_agent_token"],
    )["chatwoot"]
    must_mend(diagnosis, "administrator")


def test_doctor_tells_which_other_channels_are_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = diagnoses(monkeypatch, tmp_path)["apprise"]
    assert found.is_fine
    assert found.finding.startswith("not set")
    urls = "json://127.0.0.1/hunter2 critical=json://127.0.0.1"
    found = diagnoses(monkeypatch, tmp_path, ALERT_URLS=urls)["apprise"]
    assert found.is_fine
    assert found.finding.startswith("alerts go to all json, critical json")
    wrong = diagnoses(monkeypatch, tmp_path, ALERT_URLS="discord://hunter2")["apprise"]
    must_mend(wrong, "HOTDASH_ALERT_URLS")
    assert "hunter2" not in str(found) + str(wrong)


def test_doctor_tells_which_slack_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    diagnosis = diagnoses(monkeypatch, tmp_path)["slack"]
    assert "neither bot token nor webhook" in diagnosis.finding
    diagnosis = diagnoses(monkeypatch, tmp_path, SLACK_WEBHOOK_URL="https://hooks.example/hunter2")["slack"]
    assert diagnosis.is_fine
    assert diagnosis.finding.startswith("webhook set")
    must_mend(diagnoses(monkeypatch, tmp_path, SLACK_BOT_TOKEN="xoxb-hunter2")["slack"], "HOTDASH_SLACK_CHANNEL")
    diagnosis = diagnoses(monkeypatch, tmp_path, SLACK_CHANNEL="#alerts")["slack"]
    assert diagnosis.is_fine
    assert diagnosis.finding.startswith("bot token set")
    assert "#alerts" in diagnosis.finding
    assert "the webhook that is set too is not used" in diagnosis.finding
    assert "hunter2" not in str(diagnosis)
