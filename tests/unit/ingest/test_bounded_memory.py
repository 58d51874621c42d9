"""A window of any size: groups of pages give the rows that one reading of all gives."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.ingest.run import ingest_window
from hotdash_pipelines.sources import Fetched
from hotdash_pipelines.storage import FolderStore, Spool, Workspace
from tests.synthetic import contract_of, read_table

AGENTS = contract_of("chatwoot", "agents")
NOW = datetime(2025, 3, 2, 4, tzinfo=UTC)


def _agent(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "email": f"{number}@example.com", "role": "agent", "confirmed": True}


def test_a_record_that_comes_again_groups_later_is_taken_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    pages = [[_agent(n, f"agent {n}") for n in range(10 * p, 10 * p + 10)] for p in range(6)]
    pages.append([_agent(3, "agent 3"), _agent(14, "another name")])

    def fetch(_client: object, _contract: object, _window: object, _before: object, spool: Any) -> Fetched:
        for page in pages:
            spool.append(json.dumps({"payload": page}).encode())
        return Fetched(spool, 1, None, "v1", None)

    # So little memory that every page is a group.
    workspace = Workspace(tmp_path / "unfinished", 40 * 100)
    window = window_of("2025-03-01", UTC)  # type: ignore[arg-type]
    manifest = ingest_window(AGENTS, None, fetch, store, "shop", window, NOW, workspace=workspace).manifest
    assert manifest is not None
    assert (manifest.rows["agents"], manifest.repeated, manifest.superseded) == (60, 1, 1)
    rows = read_table(store, AGENTS, manifest, "agents").to_pylist()
    assert {row["agent_id"]: row["name"] for row in rows} == {
        n: "another name" if n == 14 else f"agent {n}" for n in range(60)
    }
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_spool_is_a_list_whose_pages_can_be_replaced(tmp_path: Path) -> None:
    bodies = [json.dumps({"page": number, "filling": "x" * 300_000}).encode() for number in range(12)]
    with Spool(Workspace(tmp_path), bodies) as spool:
        assert list(spool) == bodies
        assert (len(spool), spool[0], spool[7], spool[11]) == (12, bodies[0], bodies[7], bodies[11])
        spool[7] = b'{"page":\n7}'
        assert [*spool][6:9] == [bodies[6], b'{"page": 7}', bodies[8]]
        packed = spool.packed().read()
        assert spool[7] == b'{"page": 7}'
        with Spool(Workspace(tmp_path), [*bodies[:7], b'{"page": 7}', *bodies[8:]]) as other:
            assert other.packed().read() == packed
        assert list(tmp_path.iterdir()) == []
        spool.clear()
        spool.append(b"{}")
        assert list(spool) == [b"{}"]
