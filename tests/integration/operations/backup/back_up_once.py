"""One backup in a process of its own, for tests that kill it: `back_up_once <url> <root> [most bytes a file may have]`.

With a limit the disk is full early. Prints the error, if there is one.
"""

import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from hotdash_pipelines.operations.backup.files import BackupError
from hotdash_pipelines.operations.backup.run import create_backup
from hotdash_pipelines.storage import FolderStore

url, root, *limit = sys.argv[1:]
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
try:
    create_backup(
        url,
        FolderStore(Path(root, "backups")),
        now=datetime(2026, 11, 20, 2, tzinfo=UTC),
        scratch=Path(root, "scratch"),
    )
except BackupError as error:
    print(error)
    sys.exit(1)
