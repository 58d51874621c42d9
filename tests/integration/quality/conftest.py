"""Fixtures of the suites' tests: the small shop, built once a worker.

Belongs here: databases that hold the shop. Does not belong here: its rows (shop_tables.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.warehouse.postgres import connect, libpq_env
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.databases import fresh_database, template
from tests.integration.quality.shop_tables import build_shop


@pytest.fixture(scope="session")
def small_shop(server: EmbeddedPostgres, session_home: Path) -> Iterator[str]:
    """Name of a migrated database with the small shop, to be copied."""
    admin = server.url("postgres")
    with fresh_database(admin, template(admin, session_home)) as url:
        with connect(url, autocommit=True) as conn:
            build_shop(conn)
        yield libpq_env(url)["PGDATABASE"]
