"""The house keeps its order: rooms, their size, no circles, one name a class."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "hotdash_pipelines"
MOST_FILES = 15


def sources(package: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Every module of a package: dotted name, file, syntax tree."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path, ast.parse(path.read_text())


def imports(package: Path) -> dict[str, set[str]]:
    """Each module with those of the package that it imports, wherever in its text; type checking counts too."""
    modules = {name: tree for name, _, tree in sources(package)}
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in modules:
                targets = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= {target if target in modules else node.module for target in targets} - {name}
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & modules.keys()
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def crowded(root: Path) -> dict[str, int]:
    """Folders with more Python files than one holds in mind; migrations and the verbs of the command may grow."""
    counts: dict[str, int] = defaultdict(int)
    for path in root.rglob("*.py"):
        counts[path.parent.relative_to(root).as_posix()] += 1
    exempt = ("cli", "warehouse/migrations/versions")
    return {folder: count for folder, count in counts.items() if count > MOST_FILES and folder not in exempt}


def shared_names(package: Path) -> dict[str, list[str]]:
    """Class names that stand in several modules."""
    places = defaultdict(list)
    for name, _, tree in sources(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    return {name: where for name, where in places.items() if len(where) > 1}


def test_only_the_front_door_lies_in_no_room() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "definitions.py"}
    assert len((PACKAGE / "definitions.py").read_text().splitlines()) <= 40


def test_no_folder_is_crowded() -> None:
    assert crowded(PACKAGE) == {}
    assert crowded(PROJECT_ROOT / "tests") == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(imports(PACKAGE)) == []


def test_class_names_tell_whose_they_are() -> None:
    assert shared_names(PACKAGE) == {}


def test_every_room_says_what_belongs_in_it() -> None:
    silent = [
        name
        for name, path, tree in sources(PACKAGE)
        if path.name == "__init__.py" and name.count(".") == 1 and name != "hotdash_pipelines.defs"
        and "does not belong here" not in " ".join((ast.get_docstring(tree) or "").lower().split())
    ]  # fmt: skip
    assert silent == []


def test_every_floor_of_the_rules_is_in_the_picture() -> None:
    """docs/route.md draws what pyproject.toml enforces."""
    rules = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = (rule["layers"] for rule in rules if rule["id"] == "floors")
    assert len(floors) == 7
    picture = (PROJECT_ROOT / "docs" / "route.md").read_text()
    for floor in floors:
        for room in floor.split(" | "):
            assert f"`{room}" in picture, f"{room} is missing in docs/route.md"


@pytest.mark.parametrize(
    "file, line",
    [("base/windows.py", "from hotdash_pipelines.base import failpoints"), ("base/failpoints.py", "class Window: ...")],
)
def test_a_planted_circle_or_second_name_is_found(tmp_path: Path, file: str, line: str) -> None:
    package = tmp_path / "hotdash_pipelines"
    (package / "base").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "base" / "__init__.py").touch()
    (package / "base" / "windows.py").write_text("class Window: ...\n")
    (package / "base" / "failpoints.py").write_text("from hotdash_pipelines.base import windows\n")
    assert circle(imports(package)) == []
    assert shared_names(package) == {}
    with (package / file).open("a") as module:
        module.write(line + "\n")
    assert bool(circle(imports(package))) is ("import" in line)
    assert bool(shared_names(package)) is ("class" in line)


def test_a_planted_crowd_is_found(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.py").touch()
    assert crowded(tmp_path) == {".": MOST_FILES + 1}
