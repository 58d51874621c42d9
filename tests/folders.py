"""Where throw-away servers of a test session keep their data.

Belongs here: the choice of the folder. Does not belong here: servers and databases (databases.py, conftest.py).
"""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
_NEEDED = 8 * 2**30


def quick_folder() -> Path:
    """A folder in memory where there is room (the log of the server alone may take 2 GiB), else the temporary one.

    A copy of a database is 700 files. ext4 looks past every file deleted in the last minutes to make one, so that each
    of hundreds of short-lived databases costs 0.35 s of the processor there, and 0.03 s in memory.
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > _NEEDED:
        return MEMORY
    return Path(tempfile.gettempdir())
