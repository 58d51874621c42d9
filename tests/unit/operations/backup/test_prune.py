"""Which backups go, and that a kill at any step leaves whole ones only."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from hotdash_pipelines.operations.backup.files import DATA, MANIFEST, list_backups
from hotdash_pipelines.operations.backup.prune import prune
from hotdash_pipelines.operations.backup.verify import verify_quick
from hotdash_pipelines.storage import FolderStore
from tests.backup_copies import FIRST, add_copy

ROOT = Path(__file__).parents[4]
NOW = FIRST + timedelta(days=40)
PRUNE = """
import sys
from datetime import datetime
from pathlib import Path
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.operations.backup.prune import prune
prune(FolderStore(Path(sys.argv[1])), 3, now=datetime.fromisoformat(sys.argv[2]))
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "backups")


def _break(store: FolderStore, backup_id: str) -> None:
    Path(store.uri(backup_id), DATA).write_bytes(b"")


def _states(store: FolderStore) -> dict[str, str]:
    return {one.id: one.state for one in list_backups(store)}


def test_the_newest_good_ones_stay(store: FolderStore) -> None:
    ids = [add_copy(store, day) for day in range(10)]
    done = prune(store, 7, now=NOW)
    assert done.removed == ids[2::-1]
    assert done.kept == ids[:2:-1]
    assert done.bytes == 1500
    assert _states(store) == dict.fromkeys(ids[3:], "valid")


def test_broken_ones_neither_count_nor_take_the_place_of_a_good_one(store: FolderStore) -> None:
    good = [add_copy(store, day) for day in range(7)]
    broken = [add_copy(store, day) for day in range(7, 17)]
    for backup_id in broken:
        _break(store, backup_id)
    assert prune(store, 7, now=NOW).removed == []
    assert _states(store) == {**dict.fromkeys(good, "valid"), **dict.fromkeys(broken, "broken")}
    newer = [add_copy(store, day) for day in range(20, 27)]
    assert set(prune(store, 7, now=NOW).removed) == {*good, *broken}
    assert _states(store) == dict.fromkeys(newer, "valid")


def test_single_tables_never_count_and_go_with_their_time(store: FolderStore) -> None:
    good = [add_copy(store, day) for day in (1, 4)]
    tables = [add_copy(store, day, scope="tables") for day in (2, 5, 6, 7)]
    full = add_copy(store, 8, scope="full")
    done = prune(store, 2, now=NOW)
    assert set(done.removed) == {good[0], tables[0]}
    assert set(_states(store)) == {good[1], full, *tables[1:]}


@pytest.mark.parametrize("keep", [0, -3, 1])
def test_the_last_good_one_never_goes(store: FolderStore, keep: int) -> None:
    ids = [add_copy(store, day) for day in range(3)]
    prune(store, keep, now=NOW)
    assert _states(store) == {ids[-1]: "valid"}


def test_without_enough_good_ones_nothing_goes(store: FolderStore) -> None:
    for day in range(3):
        _break(store, add_copy(store, day))
    add_copy(store, 5)
    before = _states(store)
    assert prune(store, 2, now=NOW).removed == []
    assert _states(store) == before


def test_what_a_wrong_key_makes_unreadable_does_not_go(store: FolderStore) -> None:
    ids = [add_copy(store, day) for day in range(9)]
    assert prune(store, 7, key="never used before", now=NOW).removed == []
    assert list(_states(store)) == ids[::-1]


def test_backups_of_the_future_take_no_ones_place(store: FolderStore) -> None:
    """A clock that was wrong for a while must not cost the backups that are made once it is right again."""
    ahead = [add_copy(store, day) for day in range(400, 407)]
    ids = [add_copy(store, day) for day in range(31, 41)]
    assert set(prune(store, 7, now=NOW).removed) == set(ids[:3])
    assert _states(store) == dict.fromkeys([*ids[3:], *ahead], "valid")


def test_a_dry_run_says_the_same_and_changes_nothing(store: FolderStore, tmp_path: Path) -> None:
    for day in range(4):
        add_copy(store, day)
    left = tmp_path / "backups" / "20261120T000000Z-0000abcd"
    left.mkdir()
    (left / ".partial-1").write_bytes(b"half")
    before = sorted(tmp_path.rglob("*"))
    planned = prune(store, 2, dry_run=True, now=NOW)
    assert sorted(tmp_path.rglob("*")) == before
    assert planned.swept == [left.name]
    assert prune(store, 2, now=NOW) == planned
    assert not left.exists()


def test_a_kill_at_any_step_leaves_whole_backups_and_a_rerun_ends_the_work(tmp_path: Path) -> None:
    points = ["prune.planned", "prune.manifest_deleted", "prune.manifest_deleted:2", "prune.cleared", "prune.recorded"]
    for point in points:
        store = FolderStore(tmp_path / point)
        ids = [add_copy(store, day) for day in range(5)]
        done = subprocess.run(
            [sys.executable, "-c", PRUNE, str(tmp_path / point), NOW.isoformat()],
            cwd=ROOT,
            env={**os.environ, "HOTDASH_KILL_AT": point},
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, point
        left = _states(store)
        assert "broken" not in left.values(), point
        assert {*ids[2:]} <= {one for one, state in left.items() if state == "valid"}, point
        for backup_id, state in left.items():
            assert (state == "valid") == store.exists(f"{backup_id}/{MANIFEST}"), point
            if state == "valid":
                verify_quick(store, backup_id)
        prune(store, 3, now=NOW)
        assert _states(store) == dict.fromkeys(ids[2:], "valid"), point
        assert {path.name for path in (tmp_path / point).iterdir() if path.is_dir()} == {*ids[2:]}, point
