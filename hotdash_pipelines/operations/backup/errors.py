"""What goes wrong with backups.

Belongs here: the error that the files of this folder share. Does not belong here: when it is raised.
"""

from hotdash_pipelines.base.errors import HotdashError


class BackupError(HotdashError):
    """A backup cannot be made, found, believed or removed. One line, says what to do."""
