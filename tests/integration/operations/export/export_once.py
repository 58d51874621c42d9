"""One export in a process of its own, for tests that kill it: `export_once URL ROOT SCRATCH FORMAT NOW`."""

import sys
from datetime import datetime
from pathlib import Path

from hotdash_pipelines.operations.export.run import export_training
from hotdash_pipelines.storage import open_store

url, root, scratch, file_format, now = sys.argv[1:]
done = export_training(
    url, open_store(root), format=file_format, now=datetime.fromisoformat(now), scratch=Path(scratch),
    pseudonym_key=b"k" * 32,
)  # fmt: skip
print(done.manifest.version, done.is_new)
