"""The proxy that cuts connections, in front of a real server."""

import psycopg
import pytest

from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.cut_proxy import cut_proxy

_MEGABYTE = "select repeat('x', 1000) from generate_series(1, 1000)"


def test_an_untouched_proxy_carries_everything(server: EmbeddedPostgres) -> None:
    url = server.url("postgres")
    with cut_proxy(url) as proxy, psycopg.connect(proxy.through(url)) as conn:
        assert len(conn.execute(_MEGABYTE).fetchall()) == 1000
        assert proxy.passed["client"] > 1_000_000
        assert proxy.cuts == 0


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_connection_ends_after_so_many_bytes_and_no_new_one_gets_through_until_healed(
    server: EmbeddedPostgres, reset: bool
) -> None:
    url = server.url("postgres")
    with cut_proxy(url, cut_after=200_000, direction="client", reset=reset) as proxy:
        with pytest.raises(psycopg.OperationalError), psycopg.connect(proxy.through(url)) as conn:
            conn.execute(_MEGABYTE).fetchall()
        assert proxy.passed["client"] == 200_000
        assert proxy.cuts == 1
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(proxy.through(url))
        proxy.heal()
        with psycopg.connect(proxy.through(url)) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
