"""`hotdash schema` as a user runs it: what it prints, and what it refuses."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.cli import app
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.checks import check_database, check_files
from hotdash_pipelines.warehouse.schema.migrate import current
from tests.catalog import differences, snapshot

EVERY = [migration.revision for migration in migrations()]
Schema = Callable[..., Result]


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Schema]]:
    """Runs `hotdash schema ...` on a database, with a home of its own."""

    def on(url: str, **settings: str) -> Schema:
        for name, value in {"HOME": str(tmp_path / "home"), "DATABASE_URL": url, **settings}.items():
            monkeypatch.setenv(f"HOTDASH_{name}", value)
        get_settings.cache_clear()
        return lambda *words, typed=None: CliRunner().invoke(app, ["schema", *words], input=typed)

    yield on
    get_settings.cache_clear()


def test_a_database_is_brought_up_looked_at_and_taken_back(
    schema: Callable[..., Schema], empty_database_url: str
) -> None:
    run = schema(empty_database_url)
    found = json.loads(run("history", "--json").stdout)
    assert (found["current"], {row["applied_at"] for row in found["migrations"]}) == (None, {None})
    lacking = run("validate")
    assert (lacking.exit_code, lacking.stdout.count("[pending]")) == (1, len(EVERY))
    assert json.loads(run("migrate", "--json").stdout) == {"dry_run": False, "applied": EVERY}
    assert run("migrate").stdout == "the schema is up to date\n"
    assert (run("validate").exit_code, json.loads(run("validate", "--json").stdout)["problems"]) == (0, [])
    assert run("history").stdout.count("T") == len(EVERY)
    undone = json.loads(run("rollback", "--to", "0001", "--json").stdout)
    assert undone == {"dry_run": False, "undone": EVERY[:0:-1], "losses": {}, "backup": None}
    assert current(empty_database_url) == "0001"
    assert run("rollback", "--to", "base").exit_code == 0
    assert current(empty_database_url) is None
    assert run("rollback", "--to", "base").stdout == "nothing to undo\n"


def test_a_dry_run_prints_the_sql_and_changes_nothing(schema: Callable[..., Schema], empty_database_url: str) -> None:
    run = schema(empty_database_url)

    def catalogue() -> dict[tuple[str, str], tuple[object, ...]]:
        with connect(empty_database_url) as conn:
            return snapshot(conn)

    before = catalogue()
    shown = run("migrate", "--dry-run")
    assert (VERSIONS / "0003_agent_tables.sql").read_text().rstrip() in shown.stdout
    assert json.loads(run("migrate", "--dry-run", "--json").stdout)["sql"] == shown.stdout
    assert differences(before, catalogue()) == []
    run("migrate")
    before = catalogue()
    with connect(empty_database_url) as conn:
        conn.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', '1')")
    shown = run("rollback", "--to", "0002", "--dry-run")
    assert shown.stdout.startswith("-- takes 1 rows of agent.facts: refused without --allow-data-loss\nbegin;\n")
    assert (VERSIONS / "0003_agent_tables.rollback.sql").read_text().rstrip() in shown.stdout
    found = json.loads(run("rollback", "--to", "0002", "--dry-run", "--json").stdout)
    assert (found["losses"], found["undone"][-1]) == ({"agent.facts": 1}, "0003_agent_tables")
    assert differences(before, catalogue()) == []


def test_rows_are_refused_with_exit_code_3_and_dumped_when_allowed(
    schema: Callable[..., Schema], warehouse_url: str
) -> None:
    run = schema(warehouse_url)
    with connect(warehouse_url) as conn:
        conn.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', '1')")
    refused = run("rollback", "--to", "0002", "--json")
    assert (refused.exit_code, list(json.loads(refused.stdout))) == (3, ["refused"])
    assert "agent.facts (1)" in refused.stderr
    assert current(warehouse_url) == EVERY[-1]
    done = json.loads(run("rollback", "--to", "0002_agent_roles", "--allow-data-loss", "--json").stdout)
    assert done["losses"] == {"agent.facts": 1}
    assert Path(done["backup"]).parent == get_settings().home / "backups"
    assert (Path(done["backup"]) / "manifest.json").exists()


@pytest.mark.parametrize("given", [("--env", "prod"), ()], ids=["by option", "by setting"])
def test_production_is_not_touched_without_a_word(
    schema: Callable[..., Schema], empty_database_url: str, given: tuple[str, ...]
) -> None:
    run = schema(empty_database_url, **({} if given else {"ENVIRONMENT": "prod"}))
    refused = run("migrate", "--json", *given)
    assert (refused.exit_code, "pass --yes" in json.loads(refused.stdout)["refused"]) == (3, True)
    assert current(empty_database_url) is None
    assert run("migrate", "--dry-run", *given).exit_code == 0
    assert run("migrate", "--yes", *given).exit_code == 0
    assert run("migrate", *given).exit_code == 0  # nothing to change, nothing to ask
    assert run("rollback", "--to", "0001", *given).exit_code == 3
    assert current(empty_database_url) == EVERY[-1]
    assert run("rollback", "--to", "0001", "--yes", *given).exit_code == 0


def test_at_a_keyboard_the_name_of_the_database_must_be_typed(
    schema: Callable[..., Schema], empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = schema(empty_database_url)
    monkeypatch.setattr("hotdash_pipelines.cli.schema.somebody_answers", lambda: True)
    assert run("migrate", "--env", "prod", typed="yes\n").exit_code == 3
    assert run("migrate", "--env", "prod", typed="").exit_code == 3
    assert current(empty_database_url) is None
    name = empty_database_url.partition("@")[2]
    asked = run("migrate", "--env", "prod", typed=f"{name}\n")
    assert (asked.exit_code, name in asked.stderr, current(empty_database_url)) == (0, True, EVERY[-1])


def test_a_revision_that_does_not_exist_is_named(schema: Callable[..., Schema], warehouse_url: str) -> None:
    done = schema(warehouse_url)("rollback", "--to", "4711")
    assert done.stderr == f"hotdash: there is no migration 4711: the newest is {EVERY[-1]}\n"


def test_open_doors_are_told_with_their_remedy_and_exit_code_1(
    schema: Callable[..., Schema], warehouse_url: str
) -> None:
    run = schema(warehouse_url)
    with connect(warehouse_url) as conn:
        conn.execute("create view agent.extra as select 1 as x; grant select on agent.extra to authenticated")
    told = run("lint")
    assert (told.exit_code, "alter view agent.extra set (security_invoker = true)" in told.stdout) == (1, True)
    found = json.loads(run("lint", "--json").stdout)
    assert (found["ok"], found["lints"] > 20) == (False, True)
    assert "view-not-invoker" in {finding["id"] for finding in found["findings"]}


BREAKS = {
    "file-name": lambda folder: (folder / "0001_Upper.sql").write_text("select 1"),
    "file-missing": lambda folder: (folder / "0002_agent_roles.rollback.sql").unlink(),
    "file-encoding": lambda folder: (folder / "0002_agent_roles.sql").write_bytes(b"select '\xff'"),
    "file-empty": lambda folder: (folder / "0002_agent_roles.rollback.sql").write_text("-- nothing\n"),
    "file-transaction": lambda folder: (folder / "0002_agent_roles.sql").write_text("select 1;\nCOMMIT;\nselect 2;"),
    "chain": lambda folder: _replace(
        folder / "0003_agent_tables.py", 'down_revision = "0002"', 'down_revision = "0001"'
    ),
}
OTHER_BREAKS = {
    "file-missing": lambda folder: (folder / "0002_agent_roles.py").unlink(),
    "file-encoding": lambda folder: (folder / "0002_agent_roles.sql").write_text("\ufeffselect 1"),
    "chain": lambda folder: _renumber(folder, "0003_agent_tables", "0002_agent_tables"),
    "file-name": lambda folder: (folder / "notes.txt").write_text("a note"),
}


def _replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def _renumber(folder: Path, old: str, new: str) -> None:
    for path in folder.glob(f"{old}.*"):
        path.rename(folder / path.name.replace(old, new))


@pytest.mark.parametrize(("found", "harm"), [*BREAKS.items(), *OTHER_BREAKS.items()])
def test_a_file_that_is_not_well_formed_is_found(tmp_path: Path, found: str, harm: Callable[[Path], object]) -> None:
    folder = tmp_path / "versions"
    shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert check_files(folder) == []
    harm(folder)
    problems = check_files(folder)
    assert {problem.id for problem in problems} == {found}
    assert all(":" in problem.message or "must say" in problem.message for problem in problems)


def test_what_a_database_has_against_the_files_is_found(warehouse_url: str, tmp_path: Path) -> None:
    assert check_database(warehouse_url) == []
    folder = tmp_path / "versions"
    shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "0001_foundation.rollback.sql").write_text("select 1")
    (folder / "0002_agent_roles.sql").write_text("select 1")
    for path in folder.glob(f"{EVERY[-1]}_*"):
        path.unlink()
    with connect(warehouse_url) as conn:
        conn.execute("delete from ops.schema_migrations where revision = '0003'")
        conn.execute("update ops.alembic_version set version_num = '0002'")
    assert [(problem.id, problem.subject) for problem in check_database(warehouse_url, folder)] == [
        ("edited", "0001_foundation.rollback.sql"),
        ("edited", "0002_agent_roles.sql"),
        ("unknown", migrations()[-1].name),
        ("gap", "0003_agent_tables"),
        ("bookkeeping", "ops.alembic_version"),
    ]
