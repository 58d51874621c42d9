"""The one root of failures that are told in one line.

Belongs here: what every such failure has, and the kind that refuses for safety. Does not belong here: what went wrong,
which the rooms say; errors of a driver, which the room that owns the driver maps to its own, once.
"""

from typing import ClassVar


class HotdashError(Exception):
    """Something failed that a person, or a later try, can mend.

    The text is one line without secrets or personal data: what failed, where, and what to do.
    """

    exit_code: ClassVar[int] = 1
    """What a command ends with: 1 something failed, 2 wrong usage or setting, 3 refused for safety."""

    is_transient: ClassVar[bool] = False
    """Whether the same step may succeed when it is tried again."""

    retry_after: float | None = None
    """Seconds to wait before that, where the other side named them."""


class SafetyRefusal(HotdashError):
    """Nothing was done, because doing it could have cost something that cannot be had back."""

    exit_code: ClassVar[int] = 3
