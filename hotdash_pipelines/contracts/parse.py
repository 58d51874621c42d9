"""Raw response pages -> typed Arrow tables, by the contract alone.

Belongs here: parsing, casting and comparing pages with their contract, with no Python loop over rows.
Does not belong here: where the pages come from (sources) and where the tables go (lake).

`pyarrow.json` with the contract's nested schema parses as fast as merely reading the JSON and reports most drift by
itself: a changed type raises with its column path, a new field comes back as an extra column.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.contracts.arrow import column_type, compute, json_type, page_schema, steps, table_schema
from hotdash_pipelines.contracts.model import Contract, Field, Table

if TYPE_CHECKING:
    import pyarrow as pa

# Pages are parsed in groups of about this many bytes: enough to keep the cores busy, little enough memory.
_GROUP_BYTES = 32 * 2**20
# Arrow reads JSON on all cores but does the rest of a group on one, so two groups at a time keep two cores busy.
_GROUPS_AT_ONCE = 2
# A JSON block must hold the longest single page.
_SMALLEST_BLOCK = 4 * 2**20


class ContractBreach(HotdashError, ValueError):
    """A page breaks its contract. The message names table and column, never a value."""


@dataclass(frozen=True)
class BadPage:
    """A page that was left out: its position among the pages of the window, and why."""

    index: int
    reason: str


@dataclass
class Parsed:
    """What came of the pages of one window.

    `tables` maps each table of the contract to its rows; `unknown_fields` maps the JSON path of a field that the
    contract does not know to its inferred type; `unknown_enum_values` counts values outside a field's enum by
    `table.column`.
    """

    tables: dict[str, "pa.Table"]
    unknown_fields: dict[str, str] = field(default_factory=dict)
    unknown_enum_values: dict[str, int] = field(default_factory=dict)
    bad_pages: list[BadPage] = field(default_factory=list)


def parse_pages(contract: Contract, pages: Sequence[bytes]) -> Parsed:
    """Parse the responses of one window.

    `pages` are whole JSON response bodies, one object each. Pages that break the contract are reported in
    `bad_pages`, the others are parsed; whether that is good enough is for the caller (`quarantine_tolerance`).
    """
    import pyarrow as pa

    parsed = Parsed(tables={table.name: table_schema(contract, table).empty_table() for table in contract.tables})
    parts: dict[str, list[pa.Table]] = {name: [empty] for name, empty in parsed.tables.items()}
    with ThreadPoolExecutor(_GROUPS_AT_ONCE, thread_name_prefix="parse") as workers:
        for part in workers.map(lambda group: _parse_or_split(contract, *group), _groups(pages)):
            for name, table in part.tables.items():
                parts[name].append(table)
            _note(part, parsed)
    parsed.tables = {name: pa.concat_tables(tables) for name, tables in parts.items()}
    return parsed


def _note(part: Parsed, into: Parsed) -> None:
    """Add what was found beside the rows."""
    into.unknown_fields.update(part.unknown_fields)
    into.bad_pages += part.bad_pages
    for name, count in part.unknown_enum_values.items():
        into.unknown_enum_values[name] = into.unknown_enum_values.get(name, 0) + count


def _groups(pages: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    start = size = 0
    for index, page in enumerate(pages):
        if size and size + len(page) > _GROUP_BYTES:
            yield start, pages[start:index]
            start, size = index, 0
        size += len(page)
    if start < len(pages):
        yield start, pages[start:]


def _parse_or_split(contract: Contract, first: int, pages: Sequence[bytes]) -> Parsed:
    """Parse the pages together; when they fail, halve them until the bad ones stand alone."""
    import pyarrow as pa

    try:
        return Parsed(*_parse_together(contract, pages))
    except (pa.ArrowException, ContractBreach) as error:
        if len(pages) == 1:
            return Parsed({}, bad_pages=[BadPage(first, _reason(error))])
    middle = len(pages) // 2
    parsed = _parse_or_split(contract, first, pages[:middle])
    second = _parse_or_split(contract, first + middle, pages[middle:])
    for name, table in second.tables.items():
        parsed.tables[name] = pa.concat_tables([parsed.tables[name], table]) if name in parsed.tables else table
    _note(second, parsed)
    return parsed


def _reason(error: Exception) -> str:
    """One line, without the offending value, which Arrow quotes at the end (it may be personal data)."""
    text = str(error).splitlines()[0]
    for mark in (", couldn't parse", "'"):
        text = text.split(mark)[0]
    return text.strip().rstrip(":")


def _parse_together(
    contract: Contract, pages: Sequence[bytes]
) -> tuple[dict[str, "pa.Table"], dict[str, str], dict[str, int]]:
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
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    ).combine_chunks()
    if read.num_rows != len(pages):
        raise ContractBreach(f"{len(pages)} responses gave {read.num_rows} JSON documents")
    top = pa.StructArray.from_arrays([_one_chunk(read.column(name)) for name in schema.names], names=schema.names)
    enums: dict[str, int] = {}
    tables: dict[str, pa.Table] = {}
    unknown: dict[str, str] = {}
    _flatten(contract, contract.table, _Level(top, top, None, {}), tables, enums)
    _unknown_fields(contract.table, read.schema, page_schema(contract), unknown)
    return tables, unknown, enums


def _one_chunk(column: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks else pa.array([], type=column.type)


@dataclass(frozen=True)
class _Level:
    """Where a table's records are found: their holder, the pages, each holder row's page, and inherited columns."""

    holder: "pa.StructArray"
    pages: "pa.StructArray"
    page_of: "pa.Array | None"
    inherited: dict[str, "pa.Array"]


def _flatten(
    contract: Contract, table: Table, level: _Level, tables: dict[str, "pa.Table"], enums: dict[str, int]
) -> None:
    import pyarrow as pa

    pc = compute()

    lists = _follow(level.holder, table.records)
    if not table.records_optional and lists.null_count:
        raise ContractBreach(f"{table.name}: {table.records} is missing from a response")
    parents = pc.list_parent_indices(lists)
    records = pc.list_flatten(lists)
    page_of = parents if level.page_of is None else level.page_of.take(parents)
    if records.null_count:
        raise ContractBreach(f"{table.name}: a record is null")
    columns = {name: values.take(parents) for name, values in level.inherited.items()}
    for column in table.fields:
        holder = level.pages.take(page_of) if column.scope == "page" else records
        columns[column.name] = _cast(table, column, _follow(holder, column.path))
        if column.enum:
            outside = pc.sum(
                pc.invert(pc.is_in(columns[column.name], value_set=pa.array(column.enum), skip_nulls=False))
            )
            nulls = columns[column.name].null_count
            count = (outside.as_py() or 0) - nulls
            if count > 0:
                enums[f"{table.name}.{column.name}"] = count
    schema = table_schema(contract, table)
    for column in schema:
        if not column.nullable and columns[column.name].null_count:
            raise ContractBreach(f"{table.name}.{column.name} is null in a record")
    tables[table.name] = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    try:
        # Arrow's JSON reader takes bytes that are no UTF-8 for text; Postgres would refuse them at the load.
        tables[table.name].validate(full=True)
    except pa.ArrowInvalid as error:
        raise ContractBreach(f"{table.name}: a text is not valid UTF-8") from error
    for child in table.children:
        inherited = {name: columns[name] for name in child.inherits}
        _flatten(contract, child, _Level(records, level.pages, page_of, inherited), tables, enums)


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


def _cast(table: Table, column: Field, values: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    pc = compute()

    target = column_type(column)
    if values.type == target and column.encoding == "plain":
        return values
    try:
        match column.encoding:
            case "gid":
                return _gid(values).cast(target)
            case "epoch_s" | "epoch_s_zero_is_null":
                if column.encoding == "epoch_s_zero_is_null":
                    values = pc.if_else(pc.equal(values, 0), pa.scalar(None, pa.int64()), values)
                return values.cast(pa.timestamp("s", tz="UTC")).cast(target)
            case "epoch_float_s":
                micros = pc.cast(pc.round(pc.multiply(values, 1e6)), pa.int64())
                return micros.cast(pa.timestamp("us", tz="UTC")).cast(target)
            case "yyyymmdd":
                return pc.strptime(values, format="%Y%m%d", unit="s").cast(target)
            case _:
                return _decimal(values, target) if column.decimal else values.cast(target)
    except pa.ArrowException as error:
        raise ContractBreach(
            f"{table.name}.{column.name}: a value is not a {column.type} ({json_type(column)} sent)"
        ) from error


def _gid(values: "pa.Array") -> "pa.Array":
    """`gid://shopify/Order/123` -> `123`; an inventory level's query part is dropped."""
    pc = compute()

    tail = pc.replace_substring_regex(values, pattern=r"^gid://shopify/\w+/", replacement="")
    return pc.replace_substring_regex(tail, pattern=r"\?.*$", replacement="")


def _decimal(values: "pa.Array", target: "pa.DataType") -> "pa.Array":
    """Text -> decimal, rounded half up where the source sends more digits than the contract keeps."""
    import pyarrow as pa

    pc = compute()

    try:
        return values.cast(target)
    except pa.ArrowInvalid:
        wide = values.cast(pa.decimal128(38, 12))
        return pc.round(wide, ndigits=target.scale, round_mode="half_towards_infinity").cast(target)


def _unknown_fields(table: Table, read: "pa.Schema", known: "pa.Schema", unknown: dict[str, str]) -> None:
    """Fields inside the records that the contract does not describe; the envelope around them is the client's."""
    seen, expected = _inside(read, table.records), _inside(known, table.records)
    if seen is not None and expected is not None:
        _compare(seen, expected, "", set(_ignored(table)), unknown)


def _ignored(table: Table) -> Iterator[str]:
    yield from table.ignore
    for child in table.children:
        yield from (f"{child.records}.{path}" for path in _ignored(child))


def _inside(schema: "pa.Schema", path: str) -> "pa.DataType | None":
    import pyarrow as pa

    kind = pa.struct(list(schema))
    for step in steps(path):
        position = kind.get_field_index(step.name) if pa.types.is_struct(kind) else -1
        if position < 0:
            return None
        kind = kind.field(position).type
    return kind.value_type if pa.types.is_list(kind) else kind


def _compare(
    seen: "pa.DataType", known: "pa.DataType", prefix: str, ignored: set[str], unknown: dict[str, str]
) -> None:
    import pyarrow as pa

    while pa.types.is_list(seen) and pa.types.is_list(known):
        seen, known = seen.value_type, known.value_type
    if not (pa.types.is_struct(seen) and pa.types.is_struct(known)):
        return
    for position in range(seen.num_fields):
        name, kind = seen.field(position).name, seen.field(position).type
        path = f"{prefix}{name}"
        if path in ignored or f"{prefix}*" in ignored:
            continue
        match = known.get_field_index(name)
        if match < 0:
            unknown[path] = "object" if pa.types.is_struct(kind) else str(kind)
        else:
            _compare(kind, known.field(match).type, f"{path}.", ignored, unknown)
