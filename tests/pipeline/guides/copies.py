"""A copy of the project in which guides were followed, their commands included.

Belongs here: making the copy, commands that must end well, what the guides make. Does not belong here: reading guides
(tests/guides.py).
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.guides import commands, follow, run
from tests.pipeline.harness.homes import copy_of_the_project

# The assets that each guide ends with, by what it says one should want.
MADE = {
    "add-a-setting.md": set[str](),
    "add-a-source.md": {"lake_judgeme/reviews", "raw_judgeme/reviews", "staging/stg_judgeme__reviews"},
    "add-a-stream.md": {"lake_chatwoot/teams", "raw_chatwoot/teams", "staging/stg_chatwoot__teams"},
}


def followed(guides: Sequence[str], folder: Path) -> Path:
    """A copy of the project after the guides. Their end (`make check test`, `hotdash up`) is left to the tests."""
    root = copy_of_the_project(folder)
    (root / ".venv").symlink_to(sys.prefix)
    asked: dict[str, None] = {}
    for guide in guides:
        follow(guide, root)
        wanted = commands(guide)
        asked |= dict.fromkeys(wanted[: wanted.index("make check test")])
    for command in asked:
        done(command, root)
    return root


def done(command: str, root: Path) -> str:
    """What a command that ends well says on standard output."""
    finished = run(command, root)
    assert finished.returncode == 0, f"{command}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
    return finished.stdout
