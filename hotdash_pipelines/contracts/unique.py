"""Rows of one key in what arrived: which of them counts, and how many do not.

Belongs here: settling main records that a window holds more than once, with what is nested in them. Does not belong
here: rows that are in the raw tables already (warehouse.loading).

A listing that shifts while it is read gives a record twice. The same record again is repeated; another version of it is
superseded by the newest. A restated date has no versions: there rows of one key that differ are a breach.
"""

from typing import TYPE_CHECKING

from hotdash_pipelines.contracts.arrow import compute
from hotdash_pipelines.contracts.casts import ContractBreach
from hotdash_pipelines.contracts.model import Contract

if TYPE_CHECKING:
    import pyarrow as pa

    from hotdash_pipelines.contracts.parse import Parsed


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


def has_one_row_a_key(rows: "pa.Table", keys: list[str]) -> bool:
    """Whether no two rows share a key."""
    if len(keys) == 1:
        return compute().count_distinct(rows[keys[0]]).as_py() == rows.num_rows
    return rows.group_by(keys).aggregate([]).num_rows == rows.num_rows
