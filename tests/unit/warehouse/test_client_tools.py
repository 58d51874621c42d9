"""Which pg_dump a server gets."""

from pathlib import Path

import pytest

from hotdash_pipelines.warehouse.server.binaries import EmbeddedPostgresError, client_tool, tool_for_server


def _program(folder: Path, version: str) -> Path:
    folder.mkdir()
    program = folder / "pg_dump"
    program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n")
    program.chmod(0o755)
    return program


def test_a_server_gets_the_program_of_its_own_version_else_the_next_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = _program(tmp_path / "older", "9.6.24")
    own = _program(tmp_path / "own", "17.5 (Debian 17.5-1)")
    monkeypatch.setenv("PATH", str(own.parent))
    assert tool_for_server("pg_dump", 17) == own
    assert tool_for_server("pg_dump", 18) == client_tool("pg_dump")
    monkeypatch.setenv("PATH", str(older.parent))
    assert tool_for_server("pg_dump", 17) == client_tool("pg_dump")


def test_a_system_program_goes_before_the_wheels_because_of_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = _program(tmp_path / "system", "18.0")
    monkeypatch.setenv("PATH", str(system.parent))
    assert tool_for_server("pg_dump", 18) == system


def test_a_server_newer_than_every_program_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        EmbeddedPostgresError, match="no pg_dump of Postgres 99 or newer is installed here: install"
    ) as caught:
        tool_for_server("pg_dump", 99)
    assert "\n" not in str(caught.value)
