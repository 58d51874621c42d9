"""What a load says when it fails: one line with stream, window and what to do, never a value of a row.

Belongs here: the errors of a load, what the drivers' errors become. Does not belong here: loading (load.py).
"""

import contextlib
from collections.abc import Iterator

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.warehouse.postgres import WarehouseError, driver_errors, reason_of


class LoadError(WarehouseError):
    """A window could not be loaded and the tables are as they were. One line: stream, window, what to do."""


class TransientLoadError(LoadError):
    """The same load may succeed in a moment: the server went away, or a lock was not had in time."""

    is_transient = True


@contextlib.contextmanager
def one_line(contract: Contract, key: str, lock_timeout: str) -> Iterator[None]:
    """Turn the drivers' errors into LoadError. Values of rows, which they may quote, stay out."""
    name = f"{contract.source}/{contract.stream} {key}"
    try:
        yield
    except driver_errors() as error:
        raise _translated(name, error, lock_timeout) from error
    except LoadError:
        raise
    except WarehouseError as error:
        kind = LoadError if type(error) is not WarehouseError else TransientLoadError
        raise kind(f"{name}: {error}") from error


def _translated(name: str, error: Exception, lock_timeout: str) -> LoadError:
    state, reason = getattr(error, "sqlstate", None) or "", reason_of(error)
    unchanged = "the tables are as they were"
    if state == "53100":
        return LoadError(f"{name}: the database server's disk is full; free space there and load again; {unchanged}")
    if state[:2] in ("08", "57") or not state.strip("0"):
        return TransientLoadError(f"{name}: the database server went away during the load; load again; {unchanged}")
    if state == "55P03":
        return TransientLoadError(f"{name}: another session held a lock for {lock_timeout}; load again; {unchanged}")
    if state[:2] in ("40", "53"):
        return TransientLoadError(f"{name}: the database server was too busy ({state}); load again; {unchanged}")
    if state in ("42P01", "3F000", "42703"):
        return LoadError(f"{name}: a table or column is missing ({reason}); run `hotdash up`, then load again")
    if state == "42501":
        return LoadError(f"{name}: the database user lacks a right ({reason}); grant it, then load again")
    return LoadError(f"{name}: Postgres refused the rows (SQLSTATE {state}); compare the contract with the table")
