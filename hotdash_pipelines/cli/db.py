"""`hotdash db`: the warehouse's server, and programs that talk to it.

Belongs here: starting and stopping the embedded server, its address, psql and dbt with the address in the environment.
Does not belong here: the server itself (warehouse.server.embedded), migrations.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

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
        print(_OTHER_SERVER, file=sys.stderr)
        raise typer.Exit(3)
    print("Postgres stopped" if server.down() else "Postgres was not running")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Whether the warehouse answers, and where it is. Exit code 1 when it does not."""
    found = _status()
    if as_json:
        print(json.dumps(found, sort_keys=True))
    else:
        for name, value in found.items():
            print(f"{name:8} {value}")
    if not found["running"]:
        raise typer.Exit(1)


@app.command()
def url(
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Print the password too: mind terminals and logs that keep it.")
    ] = False,
) -> None:
    """The warehouse's connection URL; starts the embedded server when it is down."""
    from hotdash_pipelines.warehouse.postgres import without_password

    address = _warehouse_url()
    print(address if with_password else without_password(address))
    server = _embedded()
    if server is not None and not with_password:
        print(f"the password is in {server.password_file}", file=sys.stderr)


@app.command()
def migrate() -> None:
    """Bring the warehouse's schema, the raw tables and Dagster's own database up to date. Safe to repeat."""
    from hotdash_pipelines.local.instance import open_instance, prepare_instance
    from hotdash_pipelines.local.warehouse import prepare
    from hotdash_pipelines.settings import get_settings

    address = _warehouse_url()
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

    address = _warehouse_url()
    program = client_tool("psql") if _embedded() else _system_psql() or client_tool("psql")
    os.execve(program, [str(program), *context.args], {**os.environ, **libpq_env(address)})  # noqa: S606 - the purpose


def dbt(context: typer.Context) -> None:
    """Run dbt on the warehouse: `hotdash dbt build --select marts`."""
    from hotdash_pipelines.services.connections import dbt_environment
    from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, dbt_executable

    environment = {**os.environ, **dbt_environment(_warehouse_url())}
    folders = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR)]
    arguments = [*context.args, *folders] if context.args else ["--help"]
    os.execvpe(dbt_executable(), ["dbt", *arguments], environment)  # noqa: S606 - the purpose


def _system_psql() -> Path | None:
    """The machine's psql, preferred for other servers: the wheel's is built without TLS."""
    import shutil

    found = shutil.which("psql")
    return Path(found) if found else None


def _given_url() -> str | None:
    from hotdash_pipelines.settings import get_settings

    secret = get_settings().database_url
    return secret.get_secret_value() if secret else None


def _embedded() -> Any:
    """The embedded server of the home, None when the settings name another one."""
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    return None if _given_url() else EmbeddedPostgres(get_settings().home)


def _warehouse_url() -> str:
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import database_url

    return database_url(_given_url(), get_settings().home)


def _status() -> dict[str, Any]:
    from hotdash_pipelines.warehouse.postgres import WarehouseError, connect, describe

    server = _embedded()
    if server is not None:
        found = server.status()
        return {
            "server": "embedded",
            "running": found.running,
            "pid": found.pid,
            "port": found.port,
            "data": str(found.data) if found.data else None,
            "log": str(found.log),
        }
    address = _given_url() or ""
    try:
        with connect(address) as conn:
            version = conn.info.server_version // 10000
    except WarehouseError as error:
        return {"server": "external", "running": False, "reason": str(error)}
    return {"server": "external", "running": True, "version": version, "address": describe(address)}
