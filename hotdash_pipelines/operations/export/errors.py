"""What goes wrong with exports.

Belongs here: the errors that the files of this folder share. Does not belong here: when they are raised.
"""

from typing import ClassVar

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal


class ExportError(HotdashError):
    """Nothing was exported, or an export cannot be used. One line without any exported text, says what to do."""


class ExportRefused(ExportError, SafetyRefusal):
    """A name or a path leads where exports do not belong. Nothing was read or written there."""


class BadVersionName(ExportRefused):
    """A text is no name of a version."""

    exit_code: ClassVar[int] = 2
