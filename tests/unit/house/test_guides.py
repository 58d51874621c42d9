"""Following a guide: what its blocks do to a project."""

from pathlib import Path

import pytest

from tests import guides

GUIDE = """# Add a thing

**1. A new file**: `room/thing.py`, unlike `room/other.py`.

Its text stands in `room/thing.py`:

```python
NAME = "thing"
```

**2. At the end** of `room/other.py`:

```python
def other(): ...
```

**3. One line** in `rooms.toml`

```diff
 first = 1
-second = 3
+second = 2
```

Then:

```
make check
```
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guides, "GUIDES", tmp_path)
    (tmp_path / "add-a-thing.md").write_text(GUIDE)
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "other.py").write_text("FIRST = 1\n")
    (tmp_path / "rooms.toml").write_text("first = 1\nsecond = 3\n")
    return tmp_path


def test_blocks_make_extend_and_change_the_files_named_above_them(project: Path) -> None:
    files = guides.follow("add-a-thing.md", project)
    assert [str(path.relative_to(project)) for path in files] == ["room/thing.py", "room/other.py", "rooms.toml"]
    assert files[0].read_text() == 'NAME = "thing"\n'
    assert files[1].read_text() == "FIRST = 1\n\n\ndef other(): ...\n"
    assert files[2].read_text() == "first = 1\nsecond = 2\n"
    assert guides.blocks("add-a-thing.md")[-1] == guides.Block("", "", "make check\n")


def test_a_change_that_fits_no_longer_is_found(project: Path) -> None:
    (project / "rooms.toml").write_text("second = 3\n")
    with pytest.raises(AssertionError, match=r"rooms\.toml holds 0 times"):
        guides.follow("add-a-thing.md", project)
