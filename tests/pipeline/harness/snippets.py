"""Following a guide of docs/how-to: its snippets become files of a copy of the project, its commands are run there.

Belongs here: reading a guide, applying it. Does not belong here: what must be true afterwards.

The paragraph before a snippet names the file, the last path in backticks counts. `at the end of` appends; a `diff`
replaces lines that must stand there once; `sh` holds commands.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hotdash_pipelines.settings import PROJECT_ROOT

_SNIPPET = re.compile(r"(?P<said>(?:^\S[^\n]*\n)+)\n```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?:hotdash_pipelines|dbt_project|docs|expectations|slas|tests)/[^`<>]*\.\w+)`")


@dataclass(frozen=True)
class Step:
    """One snippet: `kind` as the fence says, the file it is for (None for commands), whether it goes to the end."""

    kind: str
    body: str
    path: str | None
    appends: bool


def steps(guide: str) -> list[Step]:
    """The snippets of `docs/how-to/<guide>` in their order. One that names no file and is no command is an example."""
    found = []
    for snippet in _SNIPPET.finditer((PROJECT_ROOT / "docs" / "how-to" / guide).read_text()):
        paths = _PATH.findall(snippet["said"])
        if paths or snippet["kind"] == "sh":
            path = None if snippet["kind"] == "sh" else paths[-1]
            found.append(Step(snippet["kind"], snippet["body"], path, "at the end of" in snippet["said"]))
    return found


def write(step: Step, root: Path) -> None:
    """Do what a snippet says to its file."""
    assert step.path
    path = root / step.path
    if step.kind == "diff":
        text = path.read_text()
        for hunk in step.body.strip("\n").split("\n\n"):
            lines = hunk.split("\n")
            before = "\n".join(line[1:] for line in lines if line[0] in " -") + "\n"
            after = "\n".join(line[1:] for line in lines if line[0] in " +") + "\n"
            assert text.count(before) == 1, f"{step.path} does not hold once:\n{before}"
            text = text.replace(before, after)
        path.write_text(text)
    elif step.appends:
        path.write_text(path.read_text() + ("\n\n" if step.kind == "python" else "") + step.body)
    else:
        assert not path.exists(), f"{step.path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.body)


def run(command: str, root: Path, seconds: float = 900) -> str:
    """Run a command line in the copy; its output. AssertionError with it when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOTDASH_", "DAGSTER_"))}
    finished = subprocess.run(
        command,
        shell=True,
        cwd=root,
        env={**environment, "PYTHONPATH": str(root), "PATH": f"{root / '.venv/bin'}:{environment['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert finished.returncode == 0, f"{command}\n{finished.stdout[-4000:]}"
    return finished.stdout


def follow(guide: str, root: Path) -> None:
    """Everything a guide says but its last commands (`make check test` and what comes with it)."""
    if not (root / ".venv").exists():
        (root / ".venv").symlink_to(Path(sys.prefix))
    for step in steps(guide):
        if step.kind != "sh":
            write(step, root)
        elif "make check" not in step.body:
            for command in step.body.splitlines():
                run(command, root)
