"""A copy of the project in which a guide was followed, its commands included.

Belongs here: making the copy, commands that must end well. Does not belong here: reading guides (tests/guides.py).
"""

import sys
from pathlib import Path

from tests.guides import commands, follow, run
from tests.pipeline.harness.homes import copy_of_the_project


def followed(guide: str, folder: Path) -> Path:
    """A copy of the project after the guide. Its end (`make check test`, `hotdash up`) is left to the test."""
    root = copy_of_the_project(folder)
    (root / ".venv").symlink_to(sys.prefix)
    follow(guide, root)
    asked = commands(guide)
    for command in asked[: asked.index("make check test")]:
        done(command, root)
    return root


def done(command: str, root: Path) -> str:
    """What a command that ends well says on standard output."""
    finished = run(command, root)
    assert finished.returncode == 0, f"{command}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
    return finished.stdout
