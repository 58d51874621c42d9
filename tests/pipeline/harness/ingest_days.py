"""Every stream's windows from a stand-in store through lake and load, as a program that a test can kill.

`python -m tests.pipeline.harness.ingest_days HOME DATABASE_URL DAY,DAY SOURCE/STREAM,SOURCE/STREAM`; the file with the
store's endpoint is in the home.
Belongs here: the run itself. Does not belong here: killing and comparing (test_kill_and_rerun.py).
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.ingest.run import ingest_window, load_windows
from hotdash_pipelines.services.connections import open_client
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources import fetcher
from hotdash_pipelines.storage import FolderStore

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def ingest(home: Path, database_url: str, days: list[str], streams: list[str], now: datetime = NOW) -> None:
    """Fetch and load the days, stream by stream, in the order given. A listing has its newest day only."""
    settings = Settings(home=home)
    store = FolderStore(home / "lake")
    for contract in load_contracts():
        if f"{contract.source}/{contract.stream}" not in streams:
            continue
        client = open_client(settings, contract.source)
        fetched = [max(days)] if contract.semantics == "snapshot" else days
        try:
            for day in fetched:
                fetch = fetcher(contract.source, contract.stream)
                ingest_window(contract, client, fetch, store, settings.project, window_of(day, settings.zone), now)
        finally:
            client.close()
        windows = [window_of(day, settings.zone) for day in days]
        for _ in load_windows(contract, store, database_url, settings.project, windows, now):
            pass


if __name__ == "__main__":
    ingest(Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(","))
