"""`hotdash db`: the warehouse's server, and programs that talk to it.

Belongs here: starting and stopping the embedded server, its address, psql and dbt with the address in the environment.
Does not belong here: the server itself (warehouse.server.embedded), migrations.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from hotdash_pipelines.base.errors import SafetyRefusal
from hotdash_pipelines.cli.output import Json, note, say

app = typer.Typer(help="The warehouse's Postgres server.", no_args_is_help=True)

_PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True}
_OTHER_SERVER = "HOTDASH_DATABASE_URL is set: that server is not ours to start or stop"


@app.command()
def up() -> None:
    """Start the embedded server; it goes on running after this command."""
    server = _embedded()
    if server is None:
        print(_OTHER_SERVER)
        return
    address = server.up()
    print(f"Postgres listens on {address.host}:{address.port} as {address.user}; password in {address.password_file}")


@app.command()
def down() -> None:
    """Stop the embedded server."""
    server = _embedded()
    if server is None:
        raise SafetyRefusal(_OTHER_SERVER)
    print("Postgres stopped" if server.down() else "Postgres was not running")


@app.command()
def status(as_json: Json = False) -> None:
    """Whether the warehouse answers, and where it is. Exit code 1 when it does not."""
    server = _status()
    say(server, [f"{name:8} {value}" for name, value in server.items()], as_json)
    if not server["running"]:
        raise typer.Exit(1)


@app.command()
def url(
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Print the password too: mind terminals and logs that keep it.")
    ] = False,
) -> None:
    """The warehouse's connection URL; starts the embedded server when it is down."""
    from hotdash_pipelines.warehouse.postgres import without_password

    address = warehouse()
    print(address if with_password else without_password(address))
    server = _embedded()
    if server is not None and not with_password:
        note(f"the password is in {server.password_file}")


@app.command()
def migrate() -> None:
    """Bring the warehouse's schema, the raw tables and Dagster's own database up to date. Safe to repeat."""
    from hotdash_pipelines.local.instance import open_instance, prepare_instance
    from hotdash_pipelines.local.warehouse import prepare
    from hotdash_pipelines.settings import get_settings

    address = warehouse()
    applied = prepare(address)
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
    prepare_instance(get_settings(), address)
    with open_instance() as instance:
        instance.upgrade(print)


@app.command(context_settings=_PASS_THROUGH)
def psql(context: typer.Context) -> None:
    """Run psql as the owner: `hotdash db psql -- -Atc "select 1"`."""
    from hotdash_pipelines.warehouse.postgres import libpq_env
    from hotdash_pipelines.warehouse.server.binaries import client_tool

    address = warehouse()
    program = client_tool("psql") if _embedded() else _system_psql() or client_tool("psql")
    os.execve(program, [str(program), *context.args], {**os.environ, **libpq_env(address)})  # noqa: S606 - the purpose


def dbt(context: typer.Context) -> None:
    """Run dbt on the warehouse: `hotdash dbt build --select marts`."""
    from hotdash_pipelines.services.connections import dbt_environment
    from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, dbt_executable

    environment = {**os.environ, **dbt_environment(warehouse())}
    folders = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR)]
    arguments = [*context.args, *folders] if context.args else ["--help"]
    os.execvpe(dbt_executable(), ["dbt", *arguments], environment)  # noqa: S606 - the purpose


def _system_psql() -> Path | None:
    """The machine's psql, preferred for other servers: the wheel's is built without TLS."""
    import shutil

    program = shutil.which("psql")
    return Path(program) if program else None


def _embedded() -> Any:
    """The embedded server of the home, None when the settings name another one."""
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    settings = get_settings()
    return None if settings.database_url else EmbeddedPostgres(settings.home)


def warehouse() -> str:
    """The URL of the warehouse that the settings name; the embedded server is started when it is down, and stays."""
    from hotdash_pipelines.services.connections import warehouse_url
    from hotdash_pipelines.settings import get_settings

    return warehouse_url(get_settings())


def _status() -> dict[str, Any]:
    from hotdash_pipelines.warehouse.postgres import WarehouseError, connect, describe

    server = _embedded()
    if server is not None:
        status = server.status()
        return {
            "server": "embedded",
            "running": status.running,
            "pid": status.pid,
            "port": status.port,
            "data": str(status.data) if status.data else None,
            "log": str(status.log),
        }
    try:
        address = warehouse()
        with connect(address) as conn:
            version = conn.info.server_version // 10000
    except WarehouseError as error:
        return {"server": "external", "running": False, "reason": str(error)}
    return {"server": "external", "running": True, "version": version, "address": describe(address)}
