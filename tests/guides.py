"""Following a guide of docs/how-to to the letter: its fenced blocks, put where the guide says.

Belongs here: how a guide is read and followed in a copy of the project. Does not belong here: what must be true then
(the guide's own test).

A block belongs to the last file named in code type in the paragraph above it: `tests/guides.py`. A block of kind `diff`
changes that file, its lines without a sign being found there once; any other is a new file, or the end of one that
exists. A block below a paragraph that names no file is something to run.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from types import ModuleType

from hotdash_pipelines.settings import PROJECT_ROOT

GUIDES = PROJECT_ROOT / "docs" / "how-to"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.(?:jsonl?|md|py|sql|toml|ya?ml))`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind (`yaml`, `diff`), the file it belongs to (empty for what is to be run), its text."""

    kind: str
    file: str
    text: str


def blocks(guide: str) -> list[Block]:
    """The fenced blocks of `docs/how-to/<guide>` in their order."""
    text = (GUIDES / guide).read_text()
    read, start = [], 0
    for fence in _FENCE.finditer(text):
        paragraph = text[start : fence.start()].rstrip().rpartition("\n\n")[2]
        files = _FILE.findall(paragraph)
        read.append(Block(fence[1], files[-1] if files else "", fence[2]))
        start = fence.end()
    return read


def follow(guide: str, root: Path) -> list[Path]:
    """Do to the project in `root` what the guide's blocks say; the files that were made or changed."""
    files = []
    for block in blocks(guide):
        if not block.file:
            continue
        path = root / block.file
        if block.kind == "diff":
            path.write_text(_changed(path.read_text(), block))
        elif path.exists():
            path.write_text(f"{path.read_text().rstrip()}\n{_gap(path)}{block.text}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        files.append(path)
    assert files, f"{guide} names no file above a block"
    return files


def commands(guide: str) -> list[str]:
    """What the guide says to run, a line each."""
    return [line for block in blocks(guide) if not block.file for line in block.text.splitlines()]


def run(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of a guide in the project in `root`, with this interpreter's environment."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    tools = str(Path(sys.executable).parent)
    return subprocess.run(
        [word.replace(".venv/bin", tools) for word in words if "=" not in word],
        cwd=root,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", **variables, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def module_in(root: Path, file: str) -> ModuleType:
    """A Python file of the project in `root`; what it imports of ours is this project's own."""
    spec = util.spec_from_file_location(f"copied_{Path(file).stem}", root / file)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _changed(text: str, block: Block) -> str:
    lines = block.text.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"{block.file} holds {text.count(before)} times:\n{before}"
    return text.replace(before, after)


def _gap(path: Path) -> str:
    return "\n\n" if path.suffix == ".py" else "\n"
