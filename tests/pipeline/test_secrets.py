"""No secret and no e-mail address of a customer in logs, Dagster's database, tables, arguments and the UI.

The first load of the served home is searched as a thief would: every file and every row, compressed ones unpacked.
"""

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.pipeline.harness.homes import Home, Served, Spoiled, Stopped
from tests.pipeline.harness.planted import PLANTED

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("served"), pytest.mark.timeout(900)]

# Tokens that the stand-in mints are kept nowhere, but they look like tokens.
MINTED = re.compile(
    rb"shp(?:at|ca|ss|ua|pa)_[0-9a-f]{32}|ya29\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{20,}\.eyJ"
)


def secrets_of(home: Home) -> dict[str, bytes]:
    """Every secret of a home by its name; of the private key, a line that no escape can change."""
    endpoint = home.endpoint()
    secrets = {
        "warehouse password": (home.path / "postgres" / "password").read_text().strip(),
        "Shopify client secret": endpoint["client_secret"],
        "Shopify static token": endpoint["static_token"],
        "Chatwoot token": endpoint["chatwoot_token"],
        "GA4 private key": endpoint["ga4_service_account"]["private_key"].splitlines()[3],
        "Slack webhook": endpoint["slack_webhook_url"].split("/slack/services/")[1],
        "Slack bot token": endpoint["slack_bot_token"],
    }
    assert all(len(secret) > 15 for secret in secrets.values())
    return {name: secret.encode() for name, secret in secrets.items()}


def leaks(places: Iterator[tuple[str, bytes]], secrets: dict[str, bytes]) -> list[str]:
    """`<secret> in <place>` for each secret, or anything that looks like a token, that stands in a place."""
    leaked = []
    for place, content in places:
        leaked += [f"{name} in {place}" for name, secret in secrets.items() if secret in content]
        leaked += [f"{match.group()[:8]!r}... in {place}" for match in [MINTED.search(content)] if match]
    return leaked


def files(home: Home) -> Iterator[tuple[str, bytes]]:
    """Every file of the home but those that are there to keep secrets, and what dbt wrote in its project."""
    keepers = {home.path / "demo" / "endpoint.json", home.path / "postgres" / "password"}
    data = home.path / "postgres" / "data"
    for root in (home.path, DBT_PROJECT_DIR / "target", DBT_PROJECT_DIR / "logs"):
        for path in root.rglob("*"):
            if path.is_file() and path not in keepers and data not in path.parents:
                yield str(path), path.read_bytes()


def rows(url: str, *schemas: str) -> Iterator[tuple[str, bytes]]:
    """Every column of every table in the schemas, one piece a table; compressed values unpacked."""
    with connect(url) as conn:
        tables = conn.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_type = 'BASE TABLE' and table_schema = any(%s)",
            (list(schemas),),
        ).fetchall()
        assert tables
        for schema, table in tables:
            query = sql.SQL("select * from {}").format(sql.Identifier(schema, table))
            content = b"\n".join(_plain(value) for row in conn.execute(query) for value in row if value is not None)
            yield f"{schema}.{table}", content


def _plain(value: object) -> bytes:
    if not isinstance(value, bytes):
        return str(value).encode()
    # Not the packed bytes beside it: among so many of them some spell an address by chance.
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


@pytest.fixture(scope="module")
def secrets(served: Served) -> dict[str, bytes]:
    return secrets_of(served.home)


@pytest.fixture(scope="module")
def server(served: Served) -> EmbeddedPostgres:
    return EmbeddedPostgres(served.home.path)


def test_no_log_and_no_file_of_the_home_holds_a_secret(served: Served, secrets: dict[str, bytes]) -> None:
    searched = {place for place, _ in files(served.home)}
    names = {Path(place).name for place in searched}
    assert {"webserver.log", "daemon.log", "code-server.log", "stand-in-store.log", "run.log", "server.log"} <= names
    assert any(place.endswith(".parquet") for place in searched)
    assert any("compute_logs" in place for place in searched)
    assert leaks(files(served.home), secrets) == []


def test_dagsters_database_holds_no_secret(served: Served, secrets: dict[str, bytes], server: EmbeddedPostgres) -> None:
    """Runs with their config and tags, events with their metadata, snapshots, schedules, sensors, daemons."""
    tables = dict(rows(server.url("dagster"), "public"))
    assert b"dagster/asset_partition_range_start" in tables["public.run_tags"]
    assert b"dagster/row_count" in tables["public.event_logs"]
    assert b"nightly_job" in tables["public.snapshots"]
    assert leaks(iter(tables.items()), secrets) == []


def test_the_platforms_own_tables_hold_no_secret(
    served: Served, secrets: dict[str, bytes], server: EmbeddedPostgres
) -> None:
    tables = dict(rows(server.url(), "ops"))
    assert len(tables["ops.check_results"]) > 1000
    assert leaks(iter(tables.items()), secrets) == []


def test_no_process_showed_a_secret_in_its_arguments(served: Served, secrets: dict[str, bytes]) -> None:
    seen = served.command_lines.seen
    for program in ("hotdash_pipelines.cli up", "hotdash_pipelines.demo", "dbt build", "dagster_webserver", "postgres"):
        assert any(program in line for line in seen), program
    assert leaks(((line, line.encode()) for line in seen), secrets) == []


def test_the_instances_description_holds_no_secret(
    served: Served, secrets: dict[str, bytes], server: EmbeddedPostgres
) -> None:
    """In the UI's GraphQL, and printed by `dagster instance info`."""
    described = str(served.home.ask("{ instance { info hasInfo } }"))
    environment = {
        **served.home.environment,
        "DAGSTER_HOME": str(served.home.path / "dagster"),
        "HOTDASH_DAGSTER_DATABASE_URL": server.url("dagster").replace("postgresql://", "postgresql+psycopg2://"),
    }
    printed = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "info"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "run_monitoring" in described
    assert "run_monitoring" in printed.stdout
    shown = {"GraphQL": described, "instance info": printed.stdout + printed.stderr}
    assert leaks(((place, text.encode()) for place, text in shown.items()), secrets) == []


def test_no_resource_shows_a_secret_in_its_config(served: Served, secrets: dict[str, bytes]) -> None:
    shown = served.home.ask(
        """{ allTopLevelResourceDetailsOrError(repositorySelector: {
          repositoryLocationName: "hotdash_pipelines", repositoryName: "__repository__" }) {
          __typename ... on ResourceDetailsList { results { name configuredValues { key value type }
          configFields { name defaultValueAsJson } } } } }"""
    )["allTopLevelResourceDetailsOrError"]
    assert len(shown["results"]) >= 7
    assert leaks(iter([("resources", str(shown).encode())]), secrets) == []


def test_nothing_below_the_home_is_for_others(served: Served) -> None:
    """But the folder that the server's user passes through, whose data is the server's own."""
    home = served.home.path
    found = [path for path in home.rglob("*") if not path.is_relative_to(home / "postgres" / "data")]
    assert home / "demo" / "endpoint.json" in found
    assert home / "postgres" / "password" in found
    assert any(path.suffix == ".parquet" for path in found)
    assert any("compute_logs" in path.parts for path in found)
    # Dagster copies what dbt parsed of the project, with the project's mode; there are no data in it.
    exempt = {home / "postgres", *home.rglob("partial_parse.msgpack")}
    readable = {path for path in found if not path.is_symlink() and path.lstat().st_mode & 0o077}
    assert readable - exempt == set()


def test_a_planted_secret_is_found_in_a_log_a_table_and_an_argument(
    stopped: Stopped, spoiled: Spoiled, tmp_path: Path
) -> None:
    """The search itself: each kind of place, and a value that Dagster stores compressed."""
    secrets = {"planted": b"hunter2-hunter2-hunter2"}
    log = stopped.home.path / "logs" / "planted.log"
    log.write_text("password=hunter2-hunter2-hunter2")
    try:
        assert leaks(files(stopped.home), secrets) == [f"planted in {log}"]
    finally:
        log.unlink()
    packed = [("row", _plain(zlib.compress(secrets["planted"])))]
    assert leaks(iter(packed), secrets) == ["planted in row"]
    assert len(leaks(iter([("token", b"Bearer shpca_" + b"0" * 32)]), {})) == 1


@pytest.fixture(scope="module")
def failed_server(spoiled: Spoiled) -> Iterator[EmbeddedPostgres]:
    with spoiled.home.server() as server:
        yield server


def test_failed_checks_end_up_with_code_1_and_no_address_of_a_customer(
    spoiled: Spoiled, failed_server: EmbeddedPostgres
) -> None:
    """The checks that failed saw the address; results, events and the alert must not hold it, nor any other."""
    assert spoiled.ran.code == 1
    with connect(failed_server.url()) as conn:
        (kept,) = conn.execute("select count(*) from raw_shopify.orders where email = %s", (PLANTED,)).fetchone()
        failures = conn.execute("select count(*) from ops.check_results where not passed").fetchone()
        # SLAs may have been broken meanwhile: Dagster's own instants do not stand still with this home's clock.
        alerts = conn.execute("select count(*) from ops.alert_outbox where dedupe_key like 'run:%'").fetchone()
    assert kept == 1
    assert failures > (0,)
    assert alerts == (1,)
    address = re.compile(rb"[\w.+-]+@[\w-]+\.[\w.]+")
    service_accounts = (b".iam.gserviceaccount.com",)
    for place, content in [*rows(failed_server.url(), "ops"), *rows(failed_server.url("dagster"), "public")]:
        addresses = {match for match in address.findall(content) if not match.endswith(service_accounts)}
        assert not addresses, f"{place}: {addresses}"
    assert PLANTED not in spoiled.ran.err
    assert PLANTED not in spoiled.ran.out


def test_no_log_holds_the_planted_address(stopped: Stopped, spoiled: Spoiled) -> None:
    needle = {"planted address": PLANTED.encode()}
    looked = ((place, content) for place, content in files(stopped.home) if "/lake/" not in place)
    assert leaks(looked, needle) == []
