"""One run of retention over one table in a process of its own, for tests that kill it or take its disk away.

Arguments: URL of the warehouse, folder, table, instant, rows a part, and optionally the longest file in bytes.
"""

import resource
import sys
from datetime import datetime
from pathlib import Path

from hotdash_pipelines.operations.retention.rules import RetentionError, rules
from hotdash_pipelines.operations.retention.run import run_table
from hotdash_pipelines.storage import FolderStore, StoreError


def main() -> int:
    """Exit code 0 when it ran, 1 when it failed with a told error, which goes to standard error."""
    url, folder, table, now, rows = sys.argv[1:6]
    if len(sys.argv) > 6:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[6]),) * 2)
    try:
        run_table(
            url,
            FolderStore(Path(folder, "archive")),
            next(rule for rule in rules() if rule.table == table),
            now=datetime.fromisoformat(now),
            scratch=Path(folder, "scratch"),
            backup_id="20240101T000000Z-00000000",
            chunk_rows=int(rows),
            whole_rows=int(rows),
        )
    except (RetentionError, StoreError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
