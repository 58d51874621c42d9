"""A start of the embedded server that Ctrl-C or SIGTERM ends: no server is left that nobody knows of."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.warehouse.server import embedded, processes
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres


@pytest.fixture
def stopped_server(reachable_tmp: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(reachable_tmp, profile="fast")
    server.up()
    server.down()
    yield server
    server.destroy()


@pytest.mark.parametrize("moment", ["_alive", "read_postmaster"])
def test_an_interrupted_start_leaves_no_server(
    stopped_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The interrupt comes when the process is there and its pid file is not."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    data = stopped_server.status().data
    assert data is not None
    # The command asks for the server's state before it starts one; only the start itself is to be interrupted.
    launch = EmbeddedPostgres._await_ready

    def interrupted(self: EmbeddedPostgres, pid: int, data: Path) -> object:
        monkeypatch.setattr(processes if moment == "read_postmaster" else embedded, moment, interrupt)
        return launch(self, pid, data)

    monkeypatch.setattr(EmbeddedPostgres, "_await_ready", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped_server.up()
    monkeypatch.undo()
    time.sleep(1)
    assert processes.processes_of(data) == []
    assert not stopped_server.status().running
    stopped_server.up()
    assert stopped_server.status().running
