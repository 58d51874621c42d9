"""What others may read below a home is theirs no more after the next start."""

import stat
from pathlib import Path

from hotdash_pipelines.local.private import keep_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_others_could_read_becomes_the_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_file, program = home / "lake" / "shopify" / "orders.parquet", home / "tools" / "run"
    for path in (open_file, program):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"rows")
    open_file.chmod(0o664)
    program.chmod(0o755)
    home.chmod(0o755)
    keep_private(home)
    assert mode(home) == 0o755
    assert {mode(home / "lake"), mode(open_file.parent), mode(program)} == {0o700}
    assert mode(open_file) == 0o600


def test_the_servers_folder_and_what_links_lead_to_stay_as_they_are(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / "postgres" / "data").mkdir(parents=True)
    (home / "lake" / "postgres").mkdir(parents=True, mode=0o755)
    elsewhere.mkdir(mode=0o755)
    elsewhere.chmod(0o755)
    (home / "postgres").chmod(0o711)
    (home / "postgres" / "data").chmod(0o750)
    (home / "lake" / "link").symlink_to(elsewhere)
    keep_private(home)
    assert (mode(home / "postgres"), mode(home / "postgres" / "data")) == (0o711, 0o750)
    assert mode(elsewhere) == 0o755
    assert mode(home / "lake" / "postgres") == 0o700


def test_a_new_home_is_made(tmp_path: Path) -> None:
    keep_private(tmp_path / "a" / "home")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["home"]
