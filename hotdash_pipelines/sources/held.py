"""What is held of a source already, for readers that go on from there or look for what is gone.

Belongs here: the questions a fetch function may ask. Does not belong here: the answers, which lake and warehouse give
(ingest/held.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

Note = str | int | float | bool


@dataclass(frozen=True)
class Deletion:
    """A record that was found to be gone: its kind, its number, and when that was noticed first."""

    entity: str
    number: int
    noticed_at: datetime


class Held:
    """Nothing is held: what a fetch is told where no lake and no warehouse stands behind it."""

    def notes_before(self) -> Mapping[str, Note]:
        """What the manifest of the window before notes."""
        return {}

    def notes_of_window(self) -> Mapping[str, Note]:
        """What the manifest of this very window notes, from when it was read before."""
        return {}

    def alive(self, _stream: str, /) -> Mapping[int, datetime] | None:
        """Number -> when it was created, for every record of the stream that is loaded and not deleted.

        None where that cannot be told.
        """
        return None

    def loaded_since(self, _stream: str, /) -> datetime | None:
        """The day from which on every window of the stream was read, None where none was."""
        return None

    def noticed(self) -> list[Deletion]:
        """The deletions that were noticed in the window before."""
        return []


NOTHING = Held()
