"""Addresses of a server in every form, and what of them may be shown."""

import pytest

from hotdash_pipelines.warehouse.postgres import (
    WarehouseError,
    database_url,
    describe,
    libpq_env,
    sqlalchemy_url,
    unreachable,
    with_database,
    without_password,
)

URL = "postgresql://jane:p%40ss%3Aword@db.example.com:6543/warehouse?sslmode=require&options=-c%20search_path%3Dx"


def test_the_environment_of_libpq_programs_has_every_part_decoded() -> None:
    assert libpq_env(URL) == {
        "PGHOST": "db.example.com",
        "PGPORT": "6543",
        "PGUSER": "jane",
        "PGPASSWORD": "p@ss:word",
        "PGDATABASE": "warehouse",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c search_path=x",
    }


def test_sqlalchemy_gets_psycopg2_and_the_rest_unchanged() -> None:
    assert sqlalchemy_url(URL) == URL.replace("postgresql://", "postgresql+psycopg2://")
    assert sqlalchemy_url("postgres://u@h/d") == "postgresql+psycopg2://u@h/d"


def test_another_database_keeps_server_user_and_options() -> None:
    assert with_database(URL, "dagster") == URL.replace("/warehouse?", "/dagster?")


def test_what_is_shown_has_no_password() -> None:
    assert describe(URL) == "db.example.com:6543/warehouse"
    assert without_password(URL) == URL.replace(":p%40ss%3Aword", "")
    assert without_password("postgresql://h/d") == "postgresql://h/d"


@pytest.mark.parametrize(
    "url", ["warehouse", "mysql://u:secret@h/d", "postgresql://u:secret@h", "postgresql://u:secret@h/"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str, tmp_path) -> None:
    with pytest.raises(WarehouseError, match="HOTDASH_DATABASE_URL is not the URL of a Postgres database") as caught:
        database_url(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_a_given_address_starts_and_creates_nothing(tmp_path) -> None:
    assert database_url("postgres://u@h/d", tmp_path) == "postgresql://u@h/d"
    assert list(tmp_path.iterdir()) == []


def test_the_drivers_many_lines_become_one() -> None:
    reason = (
        'connection failed: connection to server at "127.0.0.1", port 5 failed: '
        'FATAL:  password authentication failed for user "jane"\n'
        "Multiple connection attempts failed. All failures were:\n- host: 'x'\n"
    )
    error = unreachable(URL, reason)
    assert "\n" not in str(error)
    assert "db.example.com:6543/warehouse" in str(error)
    assert "password authentication failed" in str(error)
