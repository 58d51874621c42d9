"""The sources there are, found by their folders, and the refusal of a half one.

Belongs here: reading the records, holding them against contracts and fetch functions. Does not belong here: any source
by name.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.settings.sources import SOURCES_DIR, HalfSource, source_names
from hotdash_pipelines.sources.registry import no_fetch_function
from hotdash_pipelines.sources.source import Source

_GUIDE = "see docs/how-to/add-a-source.md"


@cache
def all_sources() -> Mapping[str, Source]:
    """Every source by its name. HalfSource names a folder that holds no record, or another's."""
    records = {}
    for name in source_names():
        record = getattr(import_module(f"hotdash_pipelines.sources.{name}"), "SOURCE", None)
        if not isinstance(record, Source):
            raise HalfSource(f"sources/{name}/__init__.py has no SOURCE: {_GUIDE}")
        if record.name != name:
            raise HalfSource(f"sources/{name}/__init__.py: its SOURCE is named {record.name}, not {name}: {_GUIDE}")
        records[name] = record
    return records


def whole(contracts: Iterable[Contract]) -> tuple[Contract, ...]:
    """The contracts, once each of them has a source and a fetch function, and the other way round.

    HalfSource names all that is missing. Loading definitions goes through here: what is there by half would be shown
    and never run.
    """
    contracts = tuple(contracts)
    lacking = list(_lacking(all_sources(), contracts))
    if lacking:
        raise HalfSource("; ".join(lacking))
    return contracts


def _lacking(sources: Mapping[str, Source], contracts: Iterable[Contract]) -> Iterator[str]:
    streams = {(contract.source, contract.stream) for contract in contracts}
    readers = Counter(reader for name in sources for reader in _marked(name, "streams.py", "fetches"))
    for name in sorted({source for source, _ in streams} - sources.keys()):
        yield f"contracts/{name}/ has no source: add sources/{name}/__init__.py with its SOURCE, {_GUIDE}"
    for name in sorted(sources.keys() - {source for source, _ in streams}):
        yield f"sources/{name} has no contract: add contracts/{name}/<stream>.yaml, {_GUIDE}"
    for source, stream in sorted(streams - readers.keys()):
        if source in sources:
            yield no_fetch_function(source, stream)
    for source, stream in sorted(readers.keys() - streams):
        yield f"{source}/{stream} is fetched but has no contract: add contracts/{source}/{stream}.yaml, {_GUIDE}"
    for source, stream in sorted(counted_streams() - streams):
        yield f"{source}/{stream} is counted but has no contract: add contracts/{source}/{stream}.yaml, {_GUIDE}"
    for (source, stream), count in sorted(readers.items()):
        if count > 1:
            yield f"{source}/{stream} has {count} fetch functions: take one @fetches out"
    for name, record in sources.items():
        strange = [field for field in record.settings.model_fields if not field.startswith(f"{name}_")]
        if strange:
            yield f"sources/{name}/settings.py: fields begin with {name}_, but not {', '.join(strange)}"


@cache
def counted_streams() -> frozenset[tuple[str, str]]:
    """The streams, as (source, stream), that their source counts by day apart from sending the rows."""
    return frozenset(marked for name in all_sources() for marked in _marked(name, "counts.py", "counts"))


def _marked(source: str, module: str, mark: str) -> Iterator[tuple[str, str]]:
    """The streams that a decorator marks in a module. Read, not imported: httpx costs the load a tenth of a second."""
    path = SOURCES_DIR / source / module
    for node in ast.walk(ast.parse(path.read_bytes()) if path.exists() else ast.Module([], [])):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == mark:
                    source_name, stream = (ast.literal_eval(argument) for argument in decorator.args)
                    yield source_name, stream
