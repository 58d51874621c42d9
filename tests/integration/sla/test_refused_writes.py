"""What the server or the disk refuses leaves nothing by half, ends in time, and is told in one line."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.cli.sla import verbs as sla_command
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sla import SlaError
from hotdash_pipelines.sla.records.history import Incident, incident, incidents
from hotdash_pipelines.sla.records.postmortem import write
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.sla.kept import Conn, Kept
from tests.integration.sla.test_kept_ticks import waiting
from tests.unit.sla.story import MIDNIGHT


@pytest.fixture
def opened(warehouse: Conn) -> Incident:
    Kept(warehouse, waiting()).run(MIDNIGHT, [1, 9])
    return incident(warehouse, incidents(warehouse)[0].incident_id)


@pytest.fixture
def command(warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    get_settings.cache_clear()
    yield CliRunner()
    get_settings.cache_clear()


def test_a_postmortem_that_cannot_be_noted_leaves_no_file_in_the_way(
    warehouse: Conn, opened: Incident, tmp_path: Path
) -> None:
    warehouse.execute("alter table ops.incidents add constraint picky check (postmortem is null)")
    with pytest.raises(SlaError, match="did not take it"):
        write(warehouse, opened, tmp_path, MIDNIGHT, "UTC")
    assert list(tmp_path.iterdir()) == []
    warehouse.execute("alter table ops.incidents drop constraint picky")
    path = write(warehouse, opened, tmp_path, MIDNIGHT, "UTC")
    assert incident(warehouse, opened.row.incident_id).row.postmortem == str(path)


def test_a_full_disk_leaves_neither_half_a_postmortem_nor_a_note_of_it(
    warehouse: Conn, opened: Incident, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(SlaError, match="cannot be written"):
            write(warehouse, opened, tmp_path, MIDNIGHT, "UTC")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    assert incident(warehouse, opened.row.incident_id).row.postmortem is None
    assert write(warehouse, opened, tmp_path, MIDNIGHT, "UTC").exists()


def test_a_probe_that_has_to_wait_for_a_lock_gives_up(
    command: CliRunner, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sla_command, "_PROBE_SECONDS", 1)
    with connect(warehouse_url) as other:
        other.execute("lock ops.heartbeats in access exclusive mode")
        # Else the probe would wait as long as this test.
        other.execute("set idle_in_transaction_session_timeout = '15s'")
        done = command.invoke(app, ["sla", "probe"])
        assert (done.exit_code, done.stdout) == (1, "")
        assert "nobody can be asked: the warehouse went away (canceling statement due to statement timeout" in (
            done.stderr
        )


@pytest.mark.parametrize("arguments", [["list"], ["retry"], ["retry", "9" * 20]])
def test_alerts_without_their_table_or_with_a_number_that_is_none_are_one_line(
    command: CliRunner, warehouse: Conn, arguments: list[str]
) -> None:
    if "9" not in arguments[-1]:
        warehouse.execute("alter table ops.alert_outbox rename to gone")
    done = command.invoke(app, ["alerts", *arguments])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "out of range" in done.stderr or "run `hotdash db migrate`" in done.stderr
