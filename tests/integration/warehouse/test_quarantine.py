"""A window with a sick record: what lands, what waits, what is counted, and how it is made good."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.ingest import replay as replaying
from hotdash_pipelines.ingest.run import BadData, ingest_window, load_windows
from hotdash_pipelines.sources import Fetched
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.postgres import connect
from tests.synthetic import KEY, PROJECT, contract_of, window

AGENTS = contract_of("chatwoot", "agents")
NOW = datetime(2025, 3, 2, 4, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def _agent(number: int, role: str | None = "agent") -> dict[str, Any]:
    return {"id": number, "name": f"A{number}", "email": f"a{number}@example.com", "role": role}


class House:
    """A lake, a warehouse, and a source that answers with what it is given."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store, self.url = FolderStore(folder), url

    def night(self, *agents: dict[str, Any], contract: Contract = AGENTS, now: datetime = NOW, key: str = KEY) -> None:
        page = json.dumps({"payload": agents}).encode()
        fetched = Fetched([page], 1, None, "v1", len(agents))
        ingest_window(contract, None, lambda *_: fetched, self.store, PROJECT, window(key), now)
        self.load(contract, now, key)

    def load(self, contract: Contract, now: datetime, key: str = KEY) -> None:
        list(load_windows(contract, self.store, self.url, PROJECT, [window(key)], now))

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with connect(self.url) as conn:
            return conn.execute(statement).fetchall()

    def waiting(self) -> list[tuple[Any, ...]]:
        return self.query("select window_key, reason from ops.quarantined_records where resolved_at is null order by 1")

    def ledger(self) -> dict[str, Any]:
        ((ledger,),) = self.query("select ledger from ops.lake_loads")
        return ledger


@pytest.fixture
def house(warehouse_url: str, tmp_path: Path) -> House:
    return House(tmp_path / "lake", warehouse_url)


def test_a_sick_record_waits_in_the_quarantine_and_the_ledger_adds_up(house: House) -> None:
    house.night(_agent(1), _agent(2, role=None), _agent(3), _agent(3))
    assert house.query("select agent_id from raw_chatwoot.agents order by 1") == [(1,), (3,)]
    assert house.waiting() == [(KEY, "agents.role is null in a record")]
    assert house.ledger() == {
        "counted": 4,
        "arrived": 4,
        "quarantined": 1,
        "repeated": 1,
        "superseded": 0,
        "staged": 2,
        "deleted": 0,
        "in_raw": 2,
    }
    (kept,) = [path for path in house.store.list("quarantine") if path.endswith(".jsonl")]
    line = json.loads(house.store.read(kept))
    assert (line["key"], json.loads(line["record"])) == ('["2"]', _agent(2, role=None))
    assert "example.com" not in str(house.query("select q::text from ops.quarantined_records q"))


def test_a_listing_from_which_a_record_was_set_aside_deletes_nothing(house: House) -> None:
    house.night(_agent(1), _agent(2))
    house.night(_agent(1), _agent(2, role=None), now=LATER, key="2025-03-02")
    assert house.query("select agent_id, _deleted_at from raw_chatwoot.agents order by 1") == [(1, None), (2, None)]


def test_a_record_that_lands_in_a_later_window_waits_no_more(house: House) -> None:
    house.night(_agent(1), _agent(2, role=None))
    house.night(_agent(1), _agent(2), now=LATER, key="2025-03-02")
    assert house.waiting() == []
    assert house.query("select count(*) from ops.quarantined_records") == [(1,)]


def test_a_record_that_the_next_reading_of_its_window_lacks_waits_no_more(house: House) -> None:
    house.night(_agent(1), _agent(2, role=None))
    house.night(_agent(1), now=LATER)
    assert house.waiting() == []
    assert not [path for path in house.store.list("quarantine") if path.endswith(".jsonl")]


def test_after_the_contract_was_mended_a_replay_lands_the_record_without_asking_the_source(house: House) -> None:
    house.night(_agent(1), _agent(2, role=None))
    role = next(field for field in AGENTS.table.fields if field.name == "role")
    fields = tuple(f.model_copy(update={"nullable": True}) if f is role else f for f in AGENTS.table.fields)
    mended = AGENTS.model_copy(update={"table": AGENTS.table.model_copy(update={"fields": fields}), "version": 2})
    days = (date.fromisoformat(KEY), date.fromisoformat(KEY))
    (would,) = replaying.replay(mended, house.store, PROJECT, *days, dry_run=True)
    assert (would.rows_before, would.rows, would.quarantined_before, would.quarantined) == (1, 2, 1, 0)
    assert house.waiting()
    (done,) = replaying.replay(mended, house.store, PROJECT, *days, dry_run=False)
    assert done == would
    house.load(mended, LATER)
    assert house.query("select agent_id, role from raw_chatwoot.agents order by 1") == [(1, "agent"), (2, None)]
    assert house.waiting() == []
    assert not house.store.list("quarantine")


def test_a_window_whose_pages_are_gone_says_so_and_stays(house: House) -> None:
    from hotdash_pipelines.lake.partition import prune_pages

    house.night(_agent(1))
    prune_pages(house.store, AGENTS, PROJECT, LATER)
    (window_,) = replaying.replay(
        AGENTS, house.store, PROJECT, date.fromisoformat(KEY), date.fromisoformat(KEY), dry_run=False
    )
    assert "no longer kept" in str(window_.error)
    assert window_.rows == 1


def test_more_sick_records_than_tolerated_refuse_the_window(house: House) -> None:
    with pytest.raises(BadData, match=rf"^chatwoot/agents {KEY}: 2 of 3 records break"):
        house.night(_agent(1), _agent(2, role=None), _agent(3, role=None))
    assert len(house.store.list("quarantine")) == 1
    assert house.query("select count(*) from ops.lake_loads") == [(0,)]


def test_one_sick_record_in_a_hundred_is_set_aside_and_one_more_refuses_the_window(house: House) -> None:
    healthy = [_agent(number) for number in range(1, 301)]
    house.night(*healthy[:-3], *(_agent(number, role=None) for number in (298, 299, 300)))
    assert house.query("select count(*) from raw_chatwoot.agents") == [(297,)]
    with pytest.raises(BadData, match="4 of 300 records break"):
        house.night(*healthy[:-4], *(_agent(number, role=None) for number in (297, 298, 299, 300)), now=LATER)
