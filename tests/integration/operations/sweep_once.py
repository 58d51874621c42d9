"""One sweep in a process of its own, for tests that kill it: `main(<folder>, <url>)`."""

from pathlib import Path

from tests.integration.operations.test_housekeeping import Place


def main(root: str, url: str) -> None:
    """Sweep everything below the folder."""
    print(Place(Path(root), url).sweep().items)
