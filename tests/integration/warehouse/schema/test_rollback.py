"""A rollback never takes rows that nobody has brought to safety."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from hotdash_pipelines.storage.sealed import sha256_of
from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations
from hotdash_pipelines.warehouse.postgres import connect, libpq_env
from hotdash_pipelines.warehouse.schema import dump
from hotdash_pipelines.warehouse.schema.migrate import MigrationError, current, migrate
from hotdash_pipelines.warehouse.schema.rollback import Loss, RollbackRefused, guarded_rollback, rehearse
from hotdash_pipelines.warehouse.server.binaries import tool_for_server
from tests.catalog import differences, snapshot

NOW = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
NEWEST = migrations()[-1].revision
KEPT = "0002"
FACTS = """
insert into agent.facts (project, topic, key, value) select 'p', 't', k::text, '"a\\nb"' from generate_series(1, 3) k
"""
QUERIES = """
insert into agent.agent_queries (query, result, conversation_id, agent) values ('a
b', '{}', 'c', 'x'), ('\\.', '{}', 'c', 'x')
"""


def _fill(url: str) -> None:
    with connect(url) as conn:
        conn.execute(FACTS)
        conn.execute(QUERIES)


def _rows(url: str) -> list[tuple[object, ...]]:
    tables = ("facts", "agent_queries", "agent_queries_history")
    with connect(url) as conn:
        return [row for name in tables for row in conn.execute(f"select t.* from agent.{name} t order by 1").fetchall()]


def test_a_table_with_rows_stops_a_rollback_and_nothing_changes(warehouse_url: str, tmp_path: Path) -> None:
    _fill(warehouse_url)
    rows = _rows(warehouse_url)
    with connect(warehouse_url) as conn:
        before = snapshot(conn)
    with pytest.raises(RollbackRefused, match=r"agent\.facts \(3\): nothing was changed; pass --allow-data-loss"):
        guarded_rollback(warehouse_url, KEPT, allow_data_loss=False, backups=tmp_path / "backups", now=NOW)
    with connect(warehouse_url) as conn:
        assert differences(before, snapshot(conn)) == []
    assert _rows(warehouse_url) == rows
    assert current(warehouse_url) == NEWEST
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_names_what_would_go_and_changes_nothing(warehouse_url: str) -> None:
    _fill(warehouse_url)
    with connect(warehouse_url) as conn:
        before = snapshot(conn)
    assert rehearse(warehouse_url, KEPT) == [
        Loss("agent", "agent_queries", 2),
        Loss("agent", "agent_queries_history", 2),
        Loss("agent", "facts", 3),
    ]
    assert rehearse(warehouse_url, NEWEST) == []
    with connect(warehouse_url) as conn:
        assert differences(before, snapshot(conn)) == []


def test_empty_tables_go_without_a_question(warehouse_url: str, tmp_path: Path) -> None:
    done = guarded_rollback(warehouse_url, KEPT, allow_data_loss=False, backups=tmp_path, now=NOW)
    assert (done.losses, done.backup) == ([], None)
    assert done.revisions[-1] == "0003"
    assert list(tmp_path.iterdir()) == []


def test_rows_that_go_can_be_put_back_from_the_dump(
    any_warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, commands, run = any_warehouse_url, [], subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **options: (commands.append(command), run(command, **options))[1]
    )
    _fill(url)
    rows = _rows(url)
    done = guarded_rollback(url, KEPT, allow_data_loss=True, backups=tmp_path, now=NOW)
    assert current(url) == KEPT
    backup = tmp_path / f"rollback-20261025T013000Z-{KEPT}"
    assert done.backup == backup
    manifest = json.loads((backup / "manifest.json").read_text())
    assert manifest["tables"] == {
        "agent.agent_queries": {"rows": 2},
        "agent.agent_queries_history": {"rows": 2},
        "agent.facts": {"rows": 3},
    }
    assert manifest["files"]["data.dump"]["sha256"] == sha256_of(backup / "data.dump")
    assert (manifest["schema_version"], manifest["undone"][-1]) == (NEWEST, "0003_agent_tables")
    assert {path.name: oct(path.stat().st_mode)[-3:] for path in backup.iterdir()} == {
        "data.dump": "600",
        "manifest.json": "600",
    }
    password = conninfo_to_dict(url)["password"]
    assert any("pg_dump" in str(part) for command in commands for part in command)
    assert all(str(password) not in str(part) for command in commands for part in command)

    migrate(url)
    with connect(url) as conn:
        tool = tool_for_server("pg_restore", conn.info.server_version // 10000)
    command = [tool, "--data-only", "--disable-triggers", "--single-transaction", "-d", libpq_env(url)["PGDATABASE"]]
    run([*command, backup / "data.dump"], env=libpq_env(url), check=True)
    assert _rows(url) == rows
    _fill(url)  # the sequences went along: no id is given twice


def test_two_rollbacks_at_one_instant_keep_two_dumps(warehouse_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        _fill(warehouse_url)
        guarded_rollback(warehouse_url, KEPT, allow_data_loss=True, backups=tmp_path, now=NOW)
        migrate(warehouse_url)
    assert len(list(tmp_path.glob("*/manifest.json"))) == 2


def test_nobody_writes_between_the_dump_and_the_drop(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(warehouse_url)
    refused, dump_tables = [], dump.dump_tables

    def write_meanwhile(*arguments: object, **options: object) -> dict[str, int]:
        with connect(warehouse_url) as other:
            other.execute("set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
                other.execute(FACTS)
            refused.append(caught.value)
        return dump_tables(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(dump, "dump_tables", write_meanwhile)
    guarded_rollback(warehouse_url, KEPT, allow_data_loss=True, backups=tmp_path, now=NOW)
    assert len(refused) == 1


def test_a_dump_that_was_harmed_anywhere_is_not_read_as_a_smaller_one(warehouse_url: str, tmp_path: Path) -> None:
    with connect(warehouse_url) as conn:
        conn.execute(FACTS)
        major = conn.info.server_version // 10000
    tables = [("agent", "facts"), ("agent", "agent_queries")]
    whole = {"agent.facts": 3, "agent.agent_queries": 0}
    assert dump.dump_tables(warehouse_url, tables, major, tmp_path, under_policies=False) == whole
    path = tmp_path / dump.DATA
    good = path.read_bytes()
    harmed = [good[:-cut] for cut in (1, 10, 60, len(good) // 2)]
    data = good.rindex(b"\x78\x9c", 0, len(good) - 60)  # where a compressed block begins
    harmed.append(good[: data + 12] + bytes([good[data + 12] ^ 1]) + good[data + 13 :])
    for text in harmed:
        path.write_bytes(text)
        with pytest.raises(dump.DumpError, match="cannot be read back"):
            dump.decoded_rows(path, major)


@pytest.mark.parametrize("fault", ["no folder", "no program", "cut off", "fewer rows"])
def test_without_a_proven_dump_there_is_no_rollback(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    _fill(warehouse_url)
    backups, whole = tmp_path / "backups", dump.dump_tables
    if fault == "no folder":
        backups.write_text("in the way")
    elif fault == "no program":
        monkeypatch.setattr(dump, "tool_for_server", lambda name, major: tool_for_server(name, 99))
    elif fault == "cut off":

        def cut_off(url: str, tables: object, major: int, folder: Path, **options: object) -> dict[str, int]:
            whole(url, tables, major, folder, **options)  # type: ignore[arg-type]
            path = folder / dump.DATA
            path.write_bytes(path.read_bytes()[:-200])
            return dump.decoded_rows(path, major)

        monkeypatch.setattr(dump, "dump_tables", cut_off)
    else:
        monkeypatch.setattr(dump, "dump_tables", lambda *a, **o: {**whole(*a, **o), "agent.facts": 2})
    with pytest.raises(RollbackRefused, match="could not be dumped, so nothing was changed") as caught:
        guarded_rollback(warehouse_url, KEPT, allow_data_loss=True, backups=backups, now=NOW)
    assert "\n" not in str(caught.value)
    assert current(warehouse_url) == NEWEST
    assert len(_rows(warehouse_url)) == 7
    assert fault == "no folder" or list(backups.iterdir()) == []


def _folder(tmp_path: Path, up: str, down: str) -> Path:
    folder, number = tmp_path / "versions", f"{int(NEWEST) + 1:04}"
    shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    script = (VERSIONS / f"{migrations()[-1].name}.py").read_text().splitlines()
    changes = {"revision": number, "down_revision": NEWEST}
    script = [f'{name} = "{changes[name]}"' if (name := line.split(" ")[0]) in changes else line for line in script]
    for suffix, text in ((".sql", up), (".rollback.sql", down), (".py", "\n".join(script))):
        (folder / f"{number}_extra{suffix}").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("alter table agent.facts add column extra int", "alter table agent.facts drop column extra"),
        ("select 1", "alter table agent.facts alter column key type varchar(9)"),
        ("select 1", "alter table agent.facts disable trigger all; truncate agent.facts"),
        ("select 1", "alter table agent.facts disable trigger all; delete from agent.facts"),
        ('create table agent."Odd ""name" as select 1 as one', 'drop table agent."Odd ""name"'),
    ],
    ids=["column", "rewrite", "truncate", "delete", "odd name"],
)
def test_every_way_to_lose_rows_counts(warehouse_url: str, tmp_path: Path, up: str, down: str) -> None:
    folder = _folder(tmp_path, up, down)
    _fill(warehouse_url)
    migrate(warehouse_url, folder)
    (loss,) = rehearse(warehouse_url, NEWEST, folder)
    assert loss.rows == (1 if "Odd" in loss.table else 3)
    done = guarded_rollback(warehouse_url, NEWEST, allow_data_loss=True, backups=tmp_path, now=NOW, folder=folder)
    assert done.losses == [loss]
    assert done.backup is not None


def test_a_rollback_that_takes_nothing_from_a_full_table_is_let_through(warehouse_url: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, "create index extra on agent.facts (key)", "drop index agent.extra")
    _fill(warehouse_url)
    migrate(warehouse_url, folder)
    done = guarded_rollback(warehouse_url, NEWEST, allow_data_loss=False, backups=tmp_path, now=NOW, folder=folder)
    assert (done.losses, done.backup) == ([], None)


def test_a_rollback_that_fails_says_so_in_one_line(warehouse_url: str, tmp_path: Path) -> None:
    with connect(warehouse_url) as conn:
        conn.execute("create view public.mine as select id from agent.facts")
    with pytest.raises(
        MigrationError, match=r"cannot drop table agent\.facts because other objects depend on it \(view mine depends"
    ):
        guarded_rollback(warehouse_url, KEPT, allow_data_loss=False, backups=tmp_path, now=NOW)
    assert current(warehouse_url) == NEWEST


@pytest.fixture
def plain_owner_url(warehouse_url: str) -> Iterator[str]:
    """A database whose objects belong to a user whom row-level security binds."""
    name = f"owner_{uuid.uuid4().hex[:12]}"
    with connect(warehouse_url, autocommit=True) as admin:
        admin.execute(f"create role {name} login password 'plain' in role service_role")
        database = admin.info.dbname
        admin.execute(f"alter database {database} owner to {name}")
        for schema in ("agent", "ops"):
            admin.execute(f"alter schema {schema} owner to {name}")
        owned = admin.execute(
            "select format('alter table %s owner to {0}', c.oid::regclass) from pg_class c "
            "where c.relkind = 'r' and c.relnamespace in ('agent'::regnamespace, 'ops'::regnamespace)".replace(
                "{0}", name
            )
        ).fetchall()
        for (statement,) in owned:
            admin.execute(statement)
        admin.execute("alter table agent.facts enable row level security, force row level security")
        admin.execute("drop policy if exists service_all on agent.facts")
        admin.execute("create policy service_all on agent.facts to service_role using (true)")
        port = admin.info.port
        try:
            yield f"postgresql://{name}:plain@127.0.0.1:{port}/{database}"
        finally:
            admin.execute(f"reassign owned by {name} to current_user; drop owned by {name}; drop role {name}")


def test_an_owner_whom_policies_bind_counts_and_dumps_every_row_or_is_refused(
    plain_owner_url: str, warehouse_url: str, tmp_path: Path
) -> None:
    folder = _folder(
        tmp_path, "alter table agent.facts add column extra int", "alter table agent.facts drop column extra"
    )
    with connect(warehouse_url) as admin:
        admin.execute(FACTS)
    migrate(plain_owner_url, folder)
    done = guarded_rollback(
        plain_owner_url, NEWEST, allow_data_loss=True, backups=tmp_path / "one", now=NOW, folder=folder
    )
    assert done.losses == [Loss("agent", "facts", 3)]
    migrate(plain_owner_url, folder)
    with connect(warehouse_url) as admin:
        admin.execute("alter policy service_all on agent.facts using (key <> '2')")
    # Its own eyes see two rows; the third must not be lost because nobody saw it.
    assert rehearse(plain_owner_url, NEWEST, folder) == [Loss("agent", "facts", 3)]
    with pytest.raises(
        RollbackRefused, match=r"holds rows \{'agent.facts': 2\} where the tables hold \{'agent.facts': 3\}"
    ):
        guarded_rollback(
            plain_owner_url, NEWEST, allow_data_loss=True, backups=tmp_path / "two", now=NOW, folder=folder
        )
