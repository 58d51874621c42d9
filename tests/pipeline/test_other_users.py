"""The pipeline for an ordinary user in a clone of its own. Root below a private folder: test_adding_a_stream.py."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.homes import Home, copy_of_the_project

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in the machine's temporary one, unlike pytest's own below nothing private."""
    made = Path(tempfile.mkdtemp(prefix="hotdash-users-"))
    yield made
    shutil.rmtree(made)


def python_for(become: tuple[str, ...], folder: Path) -> Path:
    """An interpreter that the other user can start, with this environment's packages; skips where there is none."""

    def starts(python: str) -> bool:
        # Through a shell: setpriv itself still has the right to start what is root's alone.
        probe = [*become, "sh", "-c", 'exec "$0" -c "import encodings"', python]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    packages = sysconfig.get_path("purelib")
    if subprocess.run([*become, "sh", "-c", 'test -r "$0"', packages], check=False).returncode != 0:
        pytest.skip("this environment lies below a private folder, where no other user can read it")
    if starts(sys.executable):
        return Path(sys.executable)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    others = [str(place) for place in (Path("/usr/bin") / name, Path("/usr/local/bin") / name) if place.exists()]
    chosen = next(filter(starts, others), None)
    if chosen is None:
        pytest.skip(f"no {name} that an ordinary user can start")
    environment = folder / "venv"
    subprocess.run([chosen, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    (environment / "lib" / name / "site-packages" / "shared.pth").write_text(
        f"import site; site.addsitedir({packages!r})"
    )
    dbt = (Path(sys.executable).parent / "dbt").read_text().split("\n", 1)[1]
    (environment / "bin" / "dbt").write_text(f"#!{python}\n{dbt}")
    (environment / "bin" / "dbt").chmod(0o755)
    return python


def test_an_ordinary_user_loads_a_day_in_a_clone_of_its_own(folder: Path) -> None:
    user = pwd.getpwnam("nobody")
    become = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs")
    folder.chmod(0o755)
    python = python_for(become, folder)
    clone = copy_of_the_project(folder / "clone")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    settings = {"PYTHONPATH": str(clone), "HOME": str(folder)}
    home = Home(clone / ".hotdash", settings, (*become, str(python), "-m", "hotdash_pipelines.cli"), folder=clone)
    try:
        ran = home.up(1)
        assert ran.code == 0, ran.err
        assert ran.json()["checks"]["failed"] == 0
        assert home.left_behind() == []
        assert {path.stat().st_uid for path in home.path.rglob("*")} == {user.pw_uid}
    finally:
        home.destroy()
