"""One window through lake and load, as a program that a test can kill: `ingest_once FOLDER URL SALT`.

Belongs here: the run itself; tests/integration/warehouse/test_kill_and_rerun.py starts it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from hotdash_pipelines.lake.partition import open_table
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.loading.load import load_partition
from tests.synthetic import PROJECT, contract_of, synthetic, write

NOW = datetime(2025, 3, 2, 4, 30, tzinfo=UTC)


def main(folder: str, url: str, salt: str) -> None:
    """Write the window to the lake, then load it; `salt` decides the values, and fewer lines come with a larger one."""
    store = FolderStore(Path(folder))
    contract = contract_of("shopify", "orders")
    children = {"order_lines": 3 - int(salt), "refunds": 1, "refund_lines": 2, "refund_adjustments": 1}
    children |= {"order_agreements": 1, "order_sales": 2}
    manifest = write(store, contract, synthetic(contract, 30, salt=int(salt), children=children))
    load_partition(url, contract, PROJECT, manifest, lambda name: open_table(store, contract, manifest, name), NOW)


if __name__ == "__main__":
    main(*sys.argv[1:])
