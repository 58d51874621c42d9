"""What can go wrong with a source, sorted once: a person must act, or a later try may succeed.

Belongs here: the error types and how they read. Does not belong here: deciding which one it is (http.py, the clients).
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from hotdash_pipelines.base.errors import HotdashError


class SourceError(HotdashError):
    """A source could not be read. One line: where, what failed, what to do; never a secret or a response body.

    `where` is `source/stream key`, filled in by the fetch function's frame.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.where: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class PermanentSourceError(SourceError):
    """Trying again does not help: credentials, permissions, addresses, versions."""


class AccessDenied(PermanentSourceError):
    """The source refuses `fields`. `is_basic`: not for the sake of a personal field that could be left out."""

    def __init__(self, message: str, fields: tuple[str, ...] = (), is_basic: bool = True) -> None:
        super().__init__(message)
        self.fields = fields
        self.is_basic = is_basic
        self.args = (message, fields, is_basic)


class QueryTooCostly(PermanentSourceError):
    """A single query costs more than the source allows; one for fewer records may pass."""


class TransientSourceError(SourceError):
    """A later try may succeed. `retry_after` is in seconds where the source said how long to wait."""

    is_transient = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreadableAnswer(TransientSourceError):
    """An answer has another shape than the API describes; a proxy's page may pass, a changed API will not."""


class QuotaExhausted(TransientSourceError):
    """The source's quota is (nearly) used up; `resume_at` is the UTC instant from which reading may go on."""

    def __init__(self, message: str, resume_at: datetime, retry_after: float) -> None:
        super().__init__(message, retry_after)
        self.resume_at = resume_at
        # Dagster sends errors between processes: what the constructor needs must be in args.
        self.args = (message, resume_at, retry_after)


@contextlib.contextmanager
def in_one_line(where: Callable[[], str] | None = None) -> Iterator[None]:
    """Whatever an answer holds, its reading ends in a SourceError of one line; `where` is then put before it."""
    try:
        yield
    except SourceError as error:
        error.where = where() if where else error.where
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        if isinstance(error, HotdashError):
            raise
        unreadable = UnreadableAnswer(
            f"an answer has another shape than the API's ({type(error).__name__}); materialise the partition again "
            "later, and check base URL and API version if it persists"
        )
        unreadable.where = where() if where else None
        raise unreadable from error
