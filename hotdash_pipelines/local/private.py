"""Everything below the home is for its owner alone.

Belongs here: mending what an earlier version or a copy left readable. Does not belong here: writing (storage,
local.children), the server's data (warehouse.server.cluster).
"""

import contextlib
import os
import stat
from pathlib import Path

_SERVER = "postgres"


def keep_private(home: Path) -> None:
    """Make the home, and take from others what they may do with anything below it.

    The home itself stays as it is: whoever made it chose who enters. So do links, what somebody else owns, and the
    folder of the server, whose user passes through it.
    """
    home.mkdir(parents=True, exist_ok=True)
    for folder, folders, files in os.walk(home):
        if Path(folder) == home and _SERVER in folders:
            folders.remove(_SERVER)
        for path in (Path(folder, name) for name in (*folders, *files)):
            # What is being written goes away under its temporary name.
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode):
                    path.chmod(stat.S_IMODE(status.st_mode) & stat.S_IRWXU)
