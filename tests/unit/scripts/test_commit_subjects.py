"""The hook that reads a commit's subject: what it takes, what it refuses, and that git runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hotdash_pipelines.settings import PROJECT_ROOT
from scripts.check_commit_subject import problems

SCRIPT = PROJECT_ROOT / "scripts" / "check_commit_subject.py"


@pytest.mark.parametrize(
    "message",
    [
        "Add the refund lines of an order to the contract",
        "Bring, feed, pass and focus are orders, too\n\nThe body may end with a full stop. It may name #12.",
        "Hash names by SHA-256\n# Please enter the commit message.",
        "# A comment of git\nMend the import of stand-in stores",
        "x" * 71 + "Y",
        'Revert "Added what nobody wanted."',
        "fixup! Give each SLA type one record",
    ],
)
def test_an_order_of_one_line_is_taken(message: str) -> None:
    assert [text for text in problems(message) if "small letter" not in text] == []


@pytest.mark.parametrize(
    "message, words",
    [
        ("", "it is empty"),
        ("# Only a comment of git", "it is empty"),
        ("Mend " + "x" * 68, "it has 73 characters, more than 72"),
        ("Mend the import.", "full stop"),
        ("mend the import", "small letter"),
        ("Mend the import (#12)", "a tag"),
        ("Fix: mend the import", "a tag"),
        ("Fix(lake)!: mend the import", "a tag"),
        ("[lake] Mend the import", "a tag"),
        ("HD-12 Mend the import", "a tag"),
        ("Mend the import (HD-12)", "a tag"),
        ("Mended the import", "`Mended` is no order"),
        ("Adding a stream", "`Adding` is no order"),
        ("Fixes the import", "`Fixes` is no order"),
        ("Tests of threads fit into one head", "`Tests` is no order"),
    ],
)
def test_another_subject_is_refused_by_what_is_wrong(message: str, words: str) -> None:
    (text,) = problems(message)
    assert words in text


def test_git_is_told_by_the_exit_code_and_a_line_for_each_fault(tmp_path: Path) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("Mended the import.\n")
    ran = subprocess.run([sys.executable, SCRIPT, message], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 2
    message.write_text("Mend the import\n")
    assert subprocess.run([sys.executable, SCRIPT, message], check=False).returncode == 0


def test_one_install_brings_the_hook() -> None:
    settings = yaml.safe_load((PROJECT_ROOT / ".pre-commit-config.yaml").read_text())
    assert settings["default_install_hook_types"] == ["pre-commit", "commit-msg"]
    hooks = {hook["id"]: hook for repo in settings["repos"] for hook in repo["hooks"]}
    assert hooks["commit-subject"]["stages"] == ["commit-msg"]
    others = [name for name, hook in hooks.items() if hook.get("stages", settings["default_stages"]) != ["pre-commit"]]
    assert others == ["commit-subject"]
