"""Rows of one key in what arrived: which of them counts, and how many do not.

Belongs here: settling main records that a window holds more than once, with what is nested in them. Does not belong
here: rows that are in the raw tables already (warehouse.loading).

A listing that shifts while it is read gives a record twice. The same record again is repeated; another version of it is
superseded by the newest. A restated date has no versions: there rows of one key that differ are a breach.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hotdash_pipelines.contracts.arrow import compute
from hotdash_pipelines.contracts.casts import ContractBreach
from hotdash_pipelines.contracts.model import Contract

if TYPE_CHECKING:
    import pyarrow as pa

    from hotdash_pipelines.contracts.parsed import Parsed


def settle(contract: Contract, parsed: "Parsed") -> None:
    """Leave one main record a key, the newest, with its children; count the others in `repeated` and `superseded`.

    Raises ContractBreach for rows of a restated date that have one key and differ.
    """
    import numpy as np
    import pyarrow as pa

    pc = compute()

    main, keys = parsed.tables[contract.table.name], list(contract.table.key)
    if has_one_row_a_key(main, keys):
        return
    every = pa.array(np.arange(main.num_rows))
    ordinals = every
    if contract.semantics == "updated":
        ordinals = pc.sort_indices(main, [(contract.version_column, "ascending")]).cast(pa.int64())
    ranked = main.select(keys).take(ordinals).append_column("_rank", every)
    last = ranked.group_by(keys).aggregate([("_rank", "max")])["_rank_max"].combine_chunks()
    winners = ordinals.take(last)
    losers = main.filter(pc.invert(pc.is_in(every, value_set=winners)))
    kept = main.take(winners)
    for name in keys:
        kept = kept.filter(pc.is_in(kept[name], value_set=losers[name].combine_chunks()))
    by_key = {tuple(row[name] for name in keys): row for row in kept.to_pylist()}
    for row in losers.to_pylist():
        if row == by_key[tuple(row[name] for name in keys)]:
            parsed.repeated += 1
        elif contract.semantics == "event_date":
            raise ContractBreach(f"{contract.table.name}: rows of one key ({', '.join(keys)}) differ")
        else:
            parsed.superseded += 1
    for name, table in parsed.tables.items():
        stays = pc.is_in(parsed.record_of[name], value_set=winners)
        parsed.tables[name] = table.filter(stays)
        parsed.record_of[name] = parsed.record_of[name].filter(stays)


def repeated_keys(keys: "Sequence[pa.Table]") -> "pa.Table":
    """The keys that occur more than once among those of all groups."""
    import numpy as np
    import pyarrow as pa

    every = pa.concat_tables(keys)
    names = every.column_names
    if len(names) == 1 and pa.types.is_integer(every.schema.types[0]):
        # Sorted, a million numbers take 16 MiB; Arrow's hash table of them takes 60, and 130 to count.
        numbers = np.sort(every.column(0).to_numpy())
        twice = np.unique(numbers[1:][numbers[1:] == numbers[:-1]])
        return pa.Table.from_arrays([pa.array(twice, every.schema.types[0])], schema=every.schema)
    if has_one_row_a_key(every, names):
        return every.slice(0, 0)
    counted = every.append_column("_one", pa.repeat(1, every.num_rows)).group_by(names).aggregate([("_one", "sum")])
    return counted.filter(compute().greater(counted["_one_sum"], 1)).select(names)


def part_repeated(contract: Contract, parsed: "Parsed", repeated: "pa.Table") -> "tuple[Parsed, Parsed]":
    """Rows of a group whose record has a key of its own, and those whose record has one of the `repeated` keys."""
    import numpy as np
    import pyarrow as pa

    pc = compute()

    if not parsed.tables:
        return parsed, parsed
    main = parsed.tables[contract.table.name].select(repeated.column_names)
    numbered = main.append_column("_row", pa.array(np.arange(main.num_rows)))
    rows = numbered.join(repeated, repeated.column_names, join_type="left semi")["_row"].combine_chunks()
    parts = []
    for is_wanted in (pc.invert, lambda mask: mask):
        masks = {name: is_wanted(pc.is_in(records, value_set=rows)) for name, records in parsed.record_of.items()}
        tables = {name: table.filter(masks[name]) for name, table in parsed.tables.items()}
        left = parsed.record_of[contract.table.name].filter(masks[contract.table.name])
        record_of = {
            name: pc.index_in(records.filter(masks[name]), value_set=left).cast(pa.int64())
            for name, records in parsed.record_of.items()
        }
        parts.append(replace(parsed, tables=tables, record_of=record_of))
    return parts[0], parts[1]


def has_one_row_a_key(rows: "pa.Table", keys: list[str]) -> bool:
    """Whether no two rows share a key."""
    if len(keys) == 1:
        return compute().count_distinct(rows[keys[0]]).as_py() == rows.num_rows
    return rows.group_by(keys).aggregate([]).num_rows == rows.num_rows
