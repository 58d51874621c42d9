"""Taking rows out of a table: what is archived is what is deleted, whatever others do meanwhile."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.operations.retention import archive
from hotdash_pipelines.operations.retention.archive_audit import look
from hotdash_pipelines.operations.retention.rules import RetentionError, RetentionRefused, lock_of
from hotdash_pipelines.storage import StoreError
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.integration.operations.retention.retention_rows import archived, many, put, retain, rule_of, store_in, texts

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=200)
Connection = psycopg.Connection[Any]


def _records(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select table_name, part, state, candidate_rows, archived_rows, deleted_rows, backup_id, error"
        " from ops.retention_runs order by table_name, cutoff, part"
    ).fetchall()


def _logged(conn: Connection) -> list[tuple[str, str]]:
    return conn.execute("select level, message from agent.observability_logs order by id").fetchall()


def test_every_row_comes_out_of_the_archive_as_it_went_in(any_warehouse_url: str, tmp_path: Path) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        put(conn, "agent_feedback", OLD, labels=None, notes=None, meta={"a": [1, {"b": None}], "c": "ö\n\\"})
        put(conn, "agent_feedback", OLD + timedelta(microseconds=1), labels=[], safe_to_send=False)
        put(conn, "agent_feedback", OLD, labels=["x", 'a "quoted", one', "NULL", ""], notes="", rubric={"tone": 4.25})
        put(conn, "agent_feedback", NOW)
        before = texts(conn, "agent_feedback")
        outcome = retain(any_warehouse_url, tmp_path, "agent_feedback", NOW, key="a key")
        after = texts(conn, "agent_feedback")

        gone = {number: [text] for number, text in before.items() if number not in after}
        assert len(after) == 1
        assert len(gone) == 3
        path = archive.list_archives(store_in(tmp_path))[0]
        with archive.opened(store_in(tmp_path), path, tmp_path, "a key") as rows:
            assert rows["id"].to_pylist() == sorted(gone)
        (kept,) = look(conn, store_in(tmp_path), scratch=tmp_path / "scratch", key="a key")
        assert (kept.state, kept.rows, kept.uri) == ("kept", 3, outcome.parts[0].uri)
        assert _records(conn) == [
            ("agent_feedback", 1, "deleted", 3, 3, 3, "20240101T000000Z-00000000", None),
        ]
        assert _logged(conn) == [("INFO", "retention archived and deleted 3 of agent_feedback")]
        assert not [file for file in (tmp_path / "scratch").iterdir() if file.is_dir()]


def test_the_archived_rows_are_the_deleted_rows(warehouse_url: str, tmp_path: Path) -> None:
    """Parts of some rows each; the table's text before equals table and archives after, no row in both."""
    with connect(warehouse_url, autocommit=True) as conn:
        for table in ("agent_feedback", "agent_approvals", "agent_queries"):
            many(conn, table, 25, OLD)
            many(conn, table, 5, NOW)
            before = texts(conn, table)
            parts: list[tuple[str, int]] = []
            outcome = retain(
                warehouse_url, tmp_path, table, NOW, chunk_rows=10, whole_rows=20,
                on_progress=lambda part, parts=parts: parts.append((part.table, part.rows)),
            )  # fmt: skip
            assert [(part.table, part.rows) for part in outcome.parts] == parts
            assert sorted(rows for name, rows in parts if name == table) == [5, 10, 10]
            kept = archived(conn, store_in(tmp_path), tmp_path, table)
            assert {
                number: [text] for number, text in before.items() if text not in texts(conn, table).values()
            } == kept
            assert len(texts(conn, table)) == 5
        assert {found.state for found in look(conn, store_in(tmp_path), scratch=tmp_path / "s")} == {"kept"}


def test_queries_take_their_versions_along_and_leave_none_behind(warehouse_url: str, tmp_path: Path) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        old, fresh = put(conn, "agent_queries", OLD), put(conn, "agent_queries", NOW)
        lone, slow = (
            put(conn, "agent_queries", OLD),
            put(conn, "agent_queries", NOW - timedelta(days=100), latency_ms=300),
        )
        conn.execute("update agent.agent_queries set approved = true where id = any(%s)", ([old, fresh],))
        # Somebody else's deletion is told by the history, until that is too old.
        conn.execute("delete from agent.agent_queries where id = any(%s)", ([lone, slow],))
        before = texts(conn, "agent_queries_history")
        assert len(before) == 8

        outcome = retain(warehouse_url, tmp_path, "agent_queries", NOW)
        assert outcome.rows == {"agent_queries": 1, "agent_queries_history": 2}
        assert retain(warehouse_url, tmp_path, "agent_queries_history", NOW).rows == {"agent_queries_history": 2}

        left = conn.execute("select id, count(*) from agent.agent_queries_history group by id order by id").fetchall()
        assert left == [(fresh, 2), (slow, 2)]
        kept = archived(conn, store_in(tmp_path), tmp_path, "agent_queries_history")
        after = texts(conn, "agent_queries_history")
        assert kept == {number: [text] for number, text in before.items() if number not in after}


def _race(url: str, change: Callable[[Connection], Any], retain_now: Callable[[], Any]) -> None:
    """Let `retain_now` run into `change`, which holds its rows until retention waits for them, and then commits."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            retain_now()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    with connect(url) as other, connect(url, autocommit=True) as watch:
        change(other)
        thread = threading.Thread(target=run)
        thread.start()
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        for _ in range(1000):
            if watch.execute(waiting).fetchone() != (0,):
                break
            time.sleep(0.01)
        else:
            pytest.fail("retention never met the change")
        other.commit()
        thread.join(60)
    assert failures == []


def test_rows_that_change_under_the_deletion_stay(warehouse_url: str, tmp_path: Path) -> None:
    """Marked unsafe, or pending again, by a transaction that the DELETE has to wait for; new rows are not met."""
    with connect(warehouse_url, autocommit=True) as conn:
        drafts = many(conn, "agent_feedback", 5, NOW - timedelta(days=100))
        approvals = many(conn, "agent_approvals", 5, OLD)
        late: list[int] = []

        def mark(other: Connection) -> None:
            other.execute("update agent.agent_feedback set safe_to_send = false where id = %s", (drafts[2],))
            late.append(put(other, "agent_feedback", NOW - timedelta(days=100)))

        _race(warehouse_url, mark, lambda: retain(warehouse_url, tmp_path, "agent_feedback", NOW))
        assert set(texts(conn, "agent_feedback")) == {drafts[2], *late}
        assert set(archived(conn, store_in(tmp_path), tmp_path, "agent_feedback")) == {*drafts} - {drafts[2]}

        def reopen(other: Connection) -> None:
            other.execute("alter table agent.agent_approvals disable trigger decide_once")
            other.commit()
            other.execute("update agent.agent_approvals set status = 'pending' where id = %s", (approvals[0],))

        _race(warehouse_url, reopen, lambda: retain(warehouse_url, tmp_path, "agent_approvals", NOW))
        assert set(texts(conn, "agent_approvals")) == {approvals[0]}
        assert set(archived(conn, store_in(tmp_path), tmp_path, "agent_approvals")) == {*approvals[1:]}


def test_a_deadlock_costs_a_try_and_no_row(warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hotdash_pipelines.operations.retention import run as retention_run

    taken: list[int] = []
    real = retention_run._Run._archived

    def once_deadlocked(self: Any, cursor: Any, *rest: Any) -> Any:
        taken.append(1)
        if len(taken) == 1:
            cursor.execute("do $$ begin raise exception 'as if' using errcode = 'deadlock_detected'; end $$")
        return real(self, cursor, *rest)

    monkeypatch.setattr(retention_run._Run, "_archived", once_deadlocked)
    with connect(warehouse_url, autocommit=True) as conn:
        put(conn, "agent_feedback", OLD)
        assert retain(warehouse_url, tmp_path, "agent_feedback", NOW).rows == {"agent_feedback": 1}
        assert len(taken) == 2
        assert texts(conn, "agent_feedback") == {}


def test_nothing_is_deleted_without_a_backup_and_nothing_to_delete_needs_none(
    warehouse_url: str, tmp_path: Path
) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        put(conn, "agent_feedback", NOW)
        assert retain(warehouse_url, tmp_path, "agent_feedback", NOW, backup_id=None).rows == {"agent_feedback": 0}
        assert _records(conn) == []
        put(conn, "agent_feedback", OLD)
        with pytest.raises(RetentionRefused, match="hotdash backup create"):
            retain(warehouse_url, tmp_path, "agent_feedback", NOW, backup_id=None)
        assert len(texts(conn, "agent_feedback")) == 2
        assert [level for level, _ in _logged(conn)] == ["INFO", "ERROR"]
        assert _records(conn)[0][:3] == ("agent_feedback", 1, "failed")


def test_two_runs_over_one_table_do_not_meet(warehouse_url: str, tmp_path: Path) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        put(conn, "agent_queries", OLD)
        conn.execute("select pg_advisory_lock(%s)", (lock_of(rule_of("agent_queries"), "run"),))
        for table in ("agent_queries", "agent_queries_history"):
            with pytest.raises(RetentionRefused, match="is under way"):
                retain(warehouse_url, tmp_path, table, NOW)
        assert len(texts(conn, "agent_queries")) == 1
        conn.execute("select pg_advisory_unlock_all()")
        # What failed gives its number to what succeeds.
        retain(warehouse_url, tmp_path, "agent_queries", NOW)
        retain(warehouse_url, tmp_path, "agent_queries_history", NOW)
        states = {(table, part): state for table, part, state, *_ in _records(conn)}
        assert states == {("agent_queries", 1): "deleted", ("agent_queries_history", 1): "deleted"}


def test_a_second_run_of_the_day_goes_on_counting(warehouse_url: str, tmp_path: Path) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        for _ in range(3):
            put(conn, "agent_feedback", OLD)
            retain(warehouse_url, tmp_path, "agent_feedback", NOW)
        assert [(part, state, rows) for _, part, state, rows, *_ in _records(conn)] == [
            (1, "deleted", 1), (2, "deleted", 1), (3, "deleted", 1),
        ]  # fmt: skip
        assert len(archived(conn, store_in(tmp_path), tmp_path, "agent_feedback")) == 3


def test_a_store_that_gives_back_something_else_stops_the_deletion(warehouse_url: str, tmp_path: Path) -> None:
    class Forgetful:
        """A store that loses the last byte of what it is given."""

        def __init__(self) -> None:
            self._store = store_in(tmp_path)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def fetch(self, path: str, target: Path) -> None:
            self._store.fetch(path, target)
            target.write_bytes(target.read_bytes()[:-1])

    with connect(warehouse_url, autocommit=True) as conn:
        put(conn, "agent_feedback", OLD)
        with pytest.raises(archive.ArchiveError, match="came back different"):
            retain(warehouse_url, tmp_path, "agent_feedback", NOW, store=Forgetful())
        assert len(texts(conn, "agent_feedback")) == 1


def test_a_file_that_differs_from_the_rows_stops_the_deletion(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def one_letter_off(source: Path, target: Path) -> None:
        rows = archive.spooled(source).read_all()
        notes = pa.array(["x"] * rows.num_rows)
        pq.write_table(rows.set_column(rows.schema.get_field_index("notes"), rows.schema.field("notes"), notes), target)

    monkeypatch.setattr(archive, "write", one_letter_off)
    with connect(warehouse_url, autocommit=True) as conn:
        put(conn, "agent_feedback", OLD, notes="y")
        with pytest.raises(archive.ArchiveError, match="differs from the rows"):
            retain(warehouse_url, tmp_path, "agent_feedback", NOW)
        assert len(texts(conn, "agent_feedback")) == 1
        assert archive.list_archives(store_in(tmp_path)) == []


def test_a_plain_user_is_told_which_role_it_lacks(warehouse_url: str, tmp_path: Path) -> None:
    """The owner of nothing, first without the role, then with it."""
    from urllib.parse import urlsplit, urlunsplit

    with connect(warehouse_url, autocommit=True) as conn:
        conn.execute("drop role if exists plain_pipeline")
        conn.execute("create role plain_pipeline login password 'p'")
        parts = urlsplit(warehouse_url)
        plain = urlunsplit(parts._replace(netloc=f"plain_pipeline:p@{parts.netloc.rpartition('@')[2]}"))
        try:
            put(conn, "agent_feedback", OLD)
            with pytest.raises(RetentionError, match="grant hotdash_retention, service_role to plain_pipeline"):
                retain(plain, tmp_path, "agent_feedback", NOW)
            conn.execute("grant hotdash_retention, service_role to plain_pipeline")
            conn.execute("grant usage on schema ops to plain_pipeline")
            conn.execute("grant select, insert, update on ops.retention_runs to plain_pipeline")
            assert retain(plain, tmp_path, "agent_feedback", NOW).rows == {"agent_feedback": 1}
        finally:
            conn.execute("drop owned by plain_pipeline")
            with connect(with_database(warehouse_url, "postgres"), autocommit=True) as admin:
                conn.close()
                admin.execute("drop role plain_pipeline")


@pytest.fixture
def partitioned(any_warehouse_url: str) -> str:
    """The database with a log that is partitioned by month, rows in each of its partitions."""
    with connect(any_warehouse_url, autocommit=True) as conn:
        conn.execute("alter table agent.observability_logs rename to logs_before")
        conn.execute(
            "create table agent.observability_logs (like agent.logs_before including defaults)"
            " partition by range (created_at)"
        )
        for name, bounds in {
            "log_first": "from (minvalue) to ('2024-01-01 00:00+00')",
            "log_january": "from ('2024-01-01 00:00+00') to ('2024-02-01 00:00+00')",
            "log_february": "from ('2024-02-01 00:00+00') to ('2024-03-01 00:00+00')",
            "log_rest": "from ('2024-03-01 00:00+00') to (maxvalue)",
        }.items():
            conn.execute(f"create table agent.{name} partition of agent.observability_logs for values {bounds}")
        conn.execute("grant select, delete on agent.observability_logs to hotdash_retention")
        conn.execute("grant select, insert on agent.observability_logs to service_role")
        for day in ("2023-05-05", "2024-01-01", "2024-01-31", "2024-02-10", "2024-02-20", "2024-03-05"):
            put(conn, "observability_logs", datetime.fromisoformat(f"{day}T12:00+00:00"), message=day)
    return any_warehouse_url


def test_partitions_that_are_too_old_are_archived_and_dropped(partitioned: str, tmp_path: Path) -> None:
    now = datetime(2024, 4, 15, 3, tzinfo=UTC)
    with connect(partitioned, autocommit=True) as conn:
        before = texts(conn, "observability_logs")
        outcome = retain(
            partitioned, tmp_path, "observability_logs", now, {"retain_observability_logs_days": 60}
        )  # cut-off 2024-02-15
        assert [(part.partition, part.rows) for part in outcome.parts] == [
            ("agent.log_first", 1), ("agent.log_january", 2), (None, 1),
        ]  # fmt: skip
        left = conn.execute(
            "select relid::regclass::text from pg_partition_tree('agent.observability_logs')"
        ).fetchall()
        assert {name for (name,) in left} == {"agent.observability_logs", "agent.log_february", "agent.log_rest"}
        after = texts(conn, "observability_logs")
        messages = [
            row[0] for row in conn.execute("select message from agent.observability_logs order by id").fetchall()
        ]
        assert messages[:2] == ["2024-02-20", "2024-03-05"]
        kept = archived(conn, store_in(tmp_path), tmp_path, "observability_logs")
        assert kept == {number: [text] for number, text in before.items() if number not in after}
        assert len(kept) == 4


def test_a_partition_grown_meanwhile_is_archived_with_what_came(partitioned: str, tmp_path: Path) -> None:
    now = datetime(2024, 3, 5, tzinfo=UTC)
    days = {"retain_observability_logs_days": 60}

    def add(other: Connection) -> None:
        put(other, "observability_logs", datetime(2023, 6, 1, tzinfo=UTC), message="late")

    with connect(partitioned, autocommit=True) as conn:
        _race(partitioned, add, lambda: retain(partitioned, tmp_path, "observability_logs", now, days))
        kept = archived(conn, store_in(tmp_path), tmp_path, "observability_logs")
        assert sorted("late" in texts_[0] for texts_ in kept.values()) == [False, False, True]


def test_a_part_that_failed_among_others_gives_its_number_to_the_try_that_succeeds(
    warehouse: Connection, warehouse_url: str, tmp_path: Path
) -> None:
    """Else its record says "failed" for ever, of rows that are archived."""
    many(warehouse, "agent_feedback", 40, OLD)
    store = store_in(tmp_path)
    store.add, add = lambda path, source: _fails_once(tmp_path, lambda: add(path, source)), store.add  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="no room"):
        retain(warehouse_url, tmp_path, "agent_feedback", NOW, store=store, chunk_rows=8, whole_rows=8)
    assert [record[2] for record in _records(warehouse)].count("failed") == 1
    retain(warehouse_url, tmp_path, "agent_feedback", NOW, store=store, chunk_rows=8, whole_rows=8)
    assert {record[2] for record in _records(warehouse)} == {"deleted"}
    assert sum(record[5] for record in _records(warehouse)) == 40


def _fails_once(folder: Path, action: Callable[[], None]) -> None:
    try:
        (folder / "failed").touch(exist_ok=False)
    except FileExistsError:
        return action()
    raise StoreError("no room")
