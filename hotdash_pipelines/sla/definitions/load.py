"""Reading slas/*.yaml.

Belongs here: files and entries, and errors that name both. Does not belong here: what an entry may say (model.py).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hotdash_pipelines.base.strict_yaml import StrictLoader
from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.model import Definition


def load_definitions(folder: Path, *, store_zone: str = "UTC") -> tuple[Definition, ...]:
    """Every SLA of the files in `folder`, by name; entries that give no zone keep `store_zone`.

    A file is `slas:`, a list of entries, and `defaults:`, what they share. Raises SlaError naming file and entry: for
    one that is wrong, for a name given twice, for an unknown name in `depends_on`, and for a parameter that is missing,
    unknown or out of range.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise SlaError(f"no SLA file in {folder}; it holds *.yaml with a list `slas:`")
    entries: dict[str, tuple[Path, Definition]] = {}
    for path in paths:
        for definition in _read(path, store_zone):
            if definition.name in entries:
                other = entries[definition.name][0]
                raise SlaError(f"{path.name}: {definition.name} is given twice, first in {other.name}; rename one")
            entries[definition.name] = (path, definition)
    for path, definition in entries.values():
        if unknown := [name for name in definition.depends_on if name not in entries]:
            raise SlaError(f"{path.name}: {definition.name}: depends_on names {unknown[0]}, which is no SLA")
        if wrong := definition.sla_type.objection(definition.params):
            raise SlaError(f"{path.name}: {definition.name}: {wrong}")
    return tuple(entries[name][1] for name in sorted(entries))


def _read(path: Path, store_zone: str) -> Iterator[Definition]:
    try:
        content = yaml.load(path.read_bytes(), Loader=StrictLoader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SlaError(f"{path.name}: line {line}: {error.problem}") from error
    except OSError as error:
        raise SlaError(f"{path.name}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SlaError(f"{path.name}: not readable as YAML: {reason}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("slas"), list) or not content["slas"]:
        raise SlaError(f"{path.name}: needs a list `slas:` with at least one entry")
    if strange := sorted(str(name) for name in content if name not in ("slas", "defaults")):
        raise SlaError(f"{path.name}: {strange[0]} is not known; a file has `slas:` and `defaults:`")
    defaults = content.get("defaults") or {}
    if not isinstance(defaults, Mapping):
        raise SlaError(f"{path.name}: defaults must map names to values")
    for position, entry in enumerate(content["slas"], start=1):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        where = f"{path.name}: {name if isinstance(name, str) else f'entry {position}'}"
        if not isinstance(entry, Mapping):
            raise SlaError(f"{where}: must map names to values")
        yield _definition(where, {"zone": store_zone, **defaults, **entry})


def _definition(where: str, content: dict[str, Any]) -> Definition:
    try:
        return Definition.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in ("weekly", "once"))
        said = first["msg"].removeprefix("Value error, ")
        raise SlaError(f"{where}: {field}: {said}" if field else f"{where}: {said}") from error
