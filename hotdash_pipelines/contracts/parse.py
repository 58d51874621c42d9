"""Raw response pages -> typed Arrow tables, by the contract alone.

Belongs here: parsing pages as they should be, with no Python loop over rows, and what is done with those that are not.
Does not belong here: single values (casts.py, mend.py), unknown fields (drift.py), where the pages come from (sources)
and where the tables go (lake).

`pyarrow.json` with the contract's nested schema parses as fast as merely reading the JSON. It reads only what the
contract names: what stands beside that may be of any shape. Pages that it refuses are read again record by record, so
that one sick record costs neither its page nor its window.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotdash_pipelines.contracts.arrow import compute, page_schema, steps, table_schema
from hotdash_pipelines.contracts.casts import ContractBreach, cast, digests, or_position, storable
from hotdash_pipelines.contracts.drift import shown_pages, unknown_fields
from hotdash_pipelines.contracts.mend import mend_page
from hotdash_pipelines.contracts.model import Contract, Field, Table
from hotdash_pipelines.contracts.parsed import BadPage, Parsed
from hotdash_pipelines.contracts.unique import settle

if TYPE_CHECKING:
    import pyarrow as pa

# Pages are parsed in groups of about this many bytes, unless the caller says otherwise.
GROUP_BYTES = 8 * 2**20
# Arrow reads JSON on all cores but does the rest of a group on one, so two groups at a time keep two cores busy.
_GROUPS_AT_ONCE = 2
# A JSON block must hold the longest single page.
_SMALLEST_BLOCK = 4 * 2**20
# Into so many parts a group is cut that the fast parser refused, until the pages it refuses stand alone.
_PARTS = 16


def parse_groups(
    contract: Contract, pages: Iterable[bytes], group_bytes: int = GROUP_BYTES
) -> Iterator[tuple[int, Parsed]]:
    """Parse the responses of one window, group by group in their order: a few groups are in memory at a time.

    `pages` are whole JSON response bodies, one object each. Gives the place of each group's first page, and what came
    of the group.
    """
    going: deque[tuple[int, Future[Parsed]]] = deque()
    with ThreadPoolExecutor(_GROUPS_AT_ONCE, thread_name_prefix="parse") as workers:
        try:
            for first, group, is_last in _groups(pages, group_bytes):
                if len(going) == _GROUPS_AT_ONCE:
                    ready, parsed = going.popleft()
                    yield ready, parsed.result()
                shown = shown_pages(group, first, is_last)
                going.append((first, workers.submit(_parse_group, contract, group, shown)))
            while going:
                ready, parsed = going.popleft()
                yield ready, parsed.result()
        finally:
            for _, left in going:
                left.cancel()


def parse_pages(contract: Contract, pages: Iterable[bytes], group_bytes: int = GROUP_BYTES) -> Parsed:
    """`parse_groups` with everything in one result, its rows settled.

    Whether what was set aside is little enough is for the caller (`quarantine_tolerance`). Raises ContractBreach where
    rows have one key that must not.
    """
    parsed = joined(contract, parse_groups(contract, pages, group_bytes))
    settle(contract, parsed)
    return parsed


def _parse_group(contract: Contract, pages: Sequence[bytes], shown: Sequence[bytes]) -> Parsed:
    """Parse a few pages, the unit of work; its memory is some times theirs. Drift is looked for in `shown`."""
    parsed = _parse_or_split(contract, pages)
    parsed.unknown_fields = unknown_fields(contract, shown)
    return parsed


def joined(contract: Contract, parts: Iterable[tuple[int, Parsed]]) -> Parsed:
    """The parts, each with the position of its first page, as one."""
    import pyarrow as pa

    whole = Parsed({})
    pc = compute()
    tables = {table.name: [table_schema(contract, table).empty_table()] for table in contract.tables}
    record_of = {table.name: [pa.array([], pa.int64())] for table in contract.tables}
    records = 0
    for first, part in parts:
        for name, table in part.tables.items():
            tables[name].append(table)
            record_of[name].append(pc.add(part.record_of[name], records))
        whole.add(part, first)
        records += part.tables[contract.table.name].num_rows if part.tables else 0
    whole.tables = {name: pa.concat_tables(found) for name, found in tables.items()}
    whole.record_of = {name: pa.concat_arrays(found) for name, found in record_of.items()}
    return whole


def _groups(pages: Iterable[bytes], group_bytes: int) -> Iterator[tuple[int, list[bytes], bool]]:
    """Pages that come to `group_bytes` together, or one that is longer: the place of the first, pages, if the last."""
    group: list[bytes] = []
    first = size = 0
    for page in pages:
        if group and size + len(page) > group_bytes:
            yield first, group, False
            first, group, size = first + len(group), [], 0
        group.append(page)
        size += len(page)
    if group:
        yield first, group, True


def _parse_or_split(contract: Contract, pages: Sequence[bytes]) -> Parsed:
    """Parse the pages together; when that fails, in ever smaller parts; what fails alone, record by record."""
    import pyarrow as pa

    try:
        return _parse_together(contract, pages)
    except (pa.ArrowException, ContractBreach):
        if len(pages) == 1:
            return _mended(contract, pages[0])
    size = -(-len(pages) // _PARTS)
    starts = range(0, len(pages), size)
    return joined(contract, ((start, _parse_or_split(contract, pages[start : start + size])) for start in starts))


def _mended(contract: Contract, page: bytes) -> Parsed:
    import pyarrow as pa

    try:
        mended = mend_page(contract, 0, page)
        parsed = _parse_together(contract, [mended.body])
    except (pa.ArrowException, ContractBreach) as error:
        return Parsed({}, bad_pages=[BadPage(0, _reason(error))])
    parsed.rejected = mended.rejected
    parsed.mended_values += mended.mended
    return parsed


def _reason(error: Exception) -> str:
    """One line, without the offending value, which Arrow quotes at the end (it may be personal data)."""
    text = str(error).splitlines()[0]
    for mark in (", couldn't parse", "'"):
        text = text.split(mark)[0]
    return text.strip().rstrip(":")


def _parse_together(contract: Contract, pages: Sequence[bytes]) -> Parsed:
    import pyarrow as pa
    from pyarrow import json as pa_json

    schema = page_schema(contract)
    # A raw line feed is illegal inside a JSON string, so replacing it only touches white space.
    body = b"\n".join(page.replace(b"\n", b" ") for page in pages)
    longest = max(len(page) for page in pages)
    if not all(page.lstrip()[:1] == b"{" for page in pages):
        raise ContractBreach("a response is not a JSON object")
    read = pa_json.read_json(
        pa.BufferReader(body),
        read_options=pa_json.ReadOptions(block_size=max(longest + 1, _SMALLEST_BLOCK)),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    ).combine_chunks()
    if read.num_rows != len(pages):
        raise ContractBreach(f"{len(pages)} responses gave {read.num_rows} JSON documents")
    top = pa.StructArray.from_arrays([_one_chunk(read.column(name)) for name in schema.names], names=schema.names)
    parsed = Parsed({})
    _Flattener(contract, parsed).flatten(contract.table, _Level(top, top, None, None, {}))
    return parsed


def _one_chunk(column: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks else pa.array([], type=column.type)


@dataclass(frozen=True)
class _Level:
    """Where a table's records are found: their holder, the pages, each holder row's page and main record, its keys."""

    holder: "pa.StructArray"
    pages: "pa.StructArray"
    page_of: "pa.Array | None"
    record_of: "pa.Array | None"
    inherited: dict[str, "pa.Array"]


@dataclass(frozen=True)
class _Flattener:
    """Turns nested records into tables, which it puts into `parsed`."""

    contract: Contract
    parsed: Parsed

    def flatten(self, table: Table, level: _Level) -> None:
        """Add the table's rows, and those of its children."""
        import numpy as np
        import pyarrow as pa

        pc = compute()

        lists = _follow(level.holder, table.records)
        if not table.records_optional and lists.null_count:
            raise ContractBreach(f"{table.name}: {table.records} is missing from a response")
        parents = pc.list_parent_indices(lists)
        records = pc.list_flatten(lists)
        page_of = parents if level.page_of is None else level.page_of.take(parents)
        above = level.record_of
        record_of = pa.array(np.arange(len(records))) if above is None else above.take(parents)
        if records.null_count:
            raise ContractBreach(f"{table.name}: a record is null")
        columns = {name: values.take(parents) for name, values in level.inherited.items()}
        for column in table.fields:
            if column.path is None:
                columns[column.name] = digests([columns[name] for name in column.digest_of])
                continue
            values = _follow(level.pages if column.scope == "page" else records, column.path)
            # One value a page is repeated, never the page: that would copy all its records for each of them.
            values = self._finished(table, column, values.take(page_of) if column.scope == "page" else values)
            columns[column.name] = or_position(values, parents) if column.fallback else values
        schema = table_schema(self.contract, table)
        for column in schema:
            if not column.nullable and columns[column.name].null_count:
                raise ContractBreach(f"{table.name}.{column.name} is null in a record")
        self.parsed.tables[table.name] = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
        self.parsed.record_of[table.name] = record_of
        for child in table.children:
            inherited = {name: columns[name] for name in child.inherits}
            self.flatten(child, _Level(records, level.pages, page_of, record_of, inherited))

    def _finished(self, table: Table, column: Field, values: "pa.Array") -> "pa.Array":
        import pyarrow as pa

        pc = compute()

        name = f"{table.name}.{column.name}"
        try:
            values, changed = storable(cast(column, values))
        except ContractBreach as error:
            raise ContractBreach(f"{name}: {error}") from error
        if changed:
            self.parsed.mended_values[name] += changed
        if column.enum:
            known = pc.is_in(values, value_set=pa.array(column.enum), skip_nulls=False)
            unknown = len(values) - values.null_count - (pc.sum(known).as_py() or 0)
            if unknown:
                self.parsed.unknown_enum_values[name] += unknown
        return values


def _follow(holder: "pa.Array", path: str) -> "pa.Array":
    pc = compute()

    values = holder
    for step in steps(path):
        values = pc.struct_field(values, [step.name])
        if step.index is not None:
            longest = pc.min(pc.list_value_length(values)).as_py()
            if longest is not None and longest <= step.index:
                raise ContractBreach(f"{path}: a list is shorter than {step.index + 1}")
            values = pc.list_element(values, step.index) if len(values) else _empty_items(values)
    return values


def _empty_items(lists: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    return pa.array([], type=lists.type.value_type)
