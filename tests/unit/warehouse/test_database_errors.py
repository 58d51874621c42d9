"""What the drivers raise becomes the room's own error in one line, once, and without what rows hold."""

import psycopg
import pytest
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager import OperationalError as AdbcOperationalError

from hotdash_pipelines.warehouse.postgres import WarehouseError, database_errors

TEXTS = {"locked": "locked", "missing": "missing {reason}", "forbidden": "forbidden {reason}", "away": "away"}


def refused(state: str, message: str) -> AdbcError:
    return AdbcOperationalError(message, status_code=10, sqlstate=state)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.errors.LockNotAvailable("canceling statement"), "locked"),
        (psycopg.errors.UndefinedTable("no x\nLINE 1: jane@example.com"), "missing no x"),
        (psycopg.errors.InvalidSchemaName("no x"), "missing no x"),
        (psycopg.errors.UndefinedObject("no x"), "missing no x"),
        (psycopg.errors.InvalidParameterValue("no role"), "missing no role"),
        (psycopg.errors.InsufficientPrivilege("no {brace}"), "forbidden no {brace}"),
        (psycopg.errors.AdminShutdown("shut"), "away"),
        (psycopg.OperationalError("consuming input failed"), "away"),
        (psycopg.InterfaceError("closed"), "away"),
        (psycopg.ProgrammingError("placeholders"), "otherwise placeholders"),
        (psycopg.errors.DiskFull(""), "otherwise DiskFull"),
        (refused("42501", "[libpq] Failed: ERROR:  no right\nDETAIL: jane@example.com"), "forbidden no right"),
        (refused("57P01", "ERROR:  shut"), "away"),
        (refused("", "no connection"), "away"),
    ],
)
def test_each_thing_that_may_happen_has_its_text(error: Exception, said: str) -> None:
    with pytest.raises(WarehouseError) as caught, database_errors(WarehouseError, "otherwise {reason}", **TEXTS):
        raise error
    assert str(caught.value) == said
    assert caught.value.__cause__ is error


def test_what_has_no_text_passes_as_it_is() -> None:
    for error in (psycopg.errors.DiskFull("full"), psycopg.errors.UndefinedTable("x"), ValueError("x")):
        with pytest.raises(type(error)), database_errors(WarehouseError, locked="locked"):
            raise error


def test_an_error_of_ours_is_not_told_twice() -> None:
    with pytest.raises(WarehouseError, match=r"^ours$"), database_errors(WarehouseError, "otherwise", **TEXTS):
        raise WarehouseError("ours")
