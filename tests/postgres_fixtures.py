"""Fixtures that need a server: migrated databases on the embedded server, and on Debian's Postgres 15 where it is.

Belongs here: fixtures for integration, pipeline and browser tests; unit tests need none of them. Imports stay inside
the fixtures, so that a unit test does not pay for them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg

    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def server(session_home: Path) -> "EmbeddedPostgres":
    """The session's embedded server, running; it trades durability for speed."""
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    embedded = EmbeddedPostgres(session_home, profile="fast")
    embedded.up()
    return embedded


@pytest.fixture(scope="session")
def postgres15(session_home: Path) -> Iterator[str]:
    """URL of a separate Postgres 15 server."""
    from tests.databases import DEBIAN_15, debian_postgres_15

    if not DEBIAN_15.is_dir():
        pytest.skip(f"Debian's Postgres 15 is not installed at {DEBIAN_15}")
    with debian_postgres_15() as url:
        yield url


@pytest.fixture
def empty_database_url(server: "EmbeddedPostgres") -> Iterator[str]:
    """URL of a fresh database without any migration."""
    from tests.databases import fresh_database

    with fresh_database(server.url("postgres"), "template1") as url:
        yield url


@pytest.fixture
def warehouse_url(server: "EmbeddedPostgres", session_home: Path) -> Iterator[str]:
    """URL of a fresh, migrated database of the test's own."""
    from tests.databases import fresh_database, template

    admin = server.url("postgres")
    with fresh_database(admin, template(admin, session_home)) as url:
        yield url


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator["psycopg.Connection[Any]"]:
    """An autocommit connection to the database of `warehouse_url`."""
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(warehouse_url, autocommit=True) as conn:
        yield conn


@pytest.fixture(params=["embedded", "postgres15"])
def any_warehouse_url(request: pytest.FixtureRequest, session_home: Path) -> Iterator[str]:
    """As `warehouse_url`, once on the embedded server and once on Postgres 15."""
    from tests.databases import fresh_database, template

    admin = (
        request.getfixturevalue("server").url("postgres")
        if request.param == "embedded"
        else request.getfixturevalue("postgres15")
    )
    with fresh_database(admin, template(admin, session_home)) as url:
        yield url


@pytest.fixture(params=["embedded", "postgres15"])
def any_empty_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `empty_database_url`, once on the embedded server and once on Postgres 15."""
    from tests.databases import fresh_database

    admin = (
        request.getfixturevalue("server").url("postgres")
        if request.param == "embedded"
        else request.getfixturevalue("postgres15")
    )
    with fresh_database(admin, "template1") as url:
        yield url
