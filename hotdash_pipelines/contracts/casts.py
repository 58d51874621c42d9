"""JSON values -> finished columns, a whole column at a time.

Belongs here: the casts that cost the happy path next to nothing. Does not belong here: walking the pages (parse.py);
values that are spelled otherwise than the contract says (mend.py).

A number is a number however it is spelled, and is rounded once, half away from zero: to a whole number for an integer
column, to the contract's scale for a decimal one. Both modules follow this rule.
"""

from hashlib import sha256
from typing import TYPE_CHECKING

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.contracts.arrow import column_type, compute
from hotdash_pipelines.contracts.model import Field

if TYPE_CHECKING:
    import pyarrow as pa

# Instants that Postgres and Python both hold: the years 1 to 9999.
EARLIEST_SECOND, LATEST_SECOND = -62_135_596_800, 253_402_300_799
# Characters of a text that are kept: sixteen times the longest message that Chatwoot takes.
LONGEST_TEXT = 2_400_000


class ContractBreach(HotdashError, ValueError):
    """A page breaks its contract. The message names table and column, never a value."""


def cast(column: Field, values: "pa.Array") -> "pa.Array":
    """The values in the column's type. Raises ContractBreach where one does not fit as it is spelled."""
    import pyarrow as pa

    pc = compute()

    target = column_type(column)
    try:
        match column.encoding:
            case "gid":
                values = _gid(values)
            case "epoch_s" | "epoch_s_zero_is_null":
                if column.encoding == "epoch_s_zero_is_null":
                    values = pc.if_else(pc.equal(values, 0), pa.scalar(None, pa.int64()), values)
                values = values.cast(pa.timestamp("s", tz="UTC"))
            case "epoch_float_s":
                micros = pc.round(pc.multiply(values, 1e6)).cast(pa.int64())
                values = micros.cast(pa.timestamp("us", tz="UTC"))
            case "yyyymmdd":
                if not _all(pc.match_substring_regex(values, r"^\d{8}$")):
                    raise ContractBreach("a value is not a date")
                values = pc.replace_substring_regex(values, r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3")
        if values.type == target:
            return values
        if pa.types.is_string(values.type) and pa.types.is_decimal(target):
            return _decimal(values, target)
        if pa.types.is_string(values.type) and pa.types.is_integer(target):
            return _integer(values, target)
        values = values.cast(target)
    except pa.ArrowException as error:
        raise ContractBreach(f"a value is not a {column.type}") from error
    if pa.types.is_timestamp(target):
        _within_calendar(values)
    return values


def _all(values: "pa.Array") -> bool:
    """Whether all are true; nulls do not count."""
    return compute().all(values).as_py() is not False


def _gid(values: "pa.Array") -> "pa.Array":
    """`gid://shopify/Order/123` -> `123`. The query part of an inventory level's id tells rows apart, so it stays."""
    return compute().replace_substring_regex(values, pattern=r"^gid://shopify/\w+/", replacement="")


def _integer(values: "pa.Array", target: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    # Arrow would take `0x10` for sixteen.
    if _may_hold(values, b"xX"):
        raise ContractBreach(f"a value is not a {target}")
    try:
        return values.cast(target)
    except pa.ArrowInvalid:
        return _rounded(values, 0).cast(target)


def _decimal(values: "pa.Array", target: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    try:
        return values.cast(target)
    except pa.ArrowInvalid:
        return _rounded(values, target.scale).cast(target)


def _rounded(values: "pa.Array", digits: int) -> "pa.Array":
    """Text -> decimals, rounded half away from zero. Takes 38 digits on either side of the point."""
    import pyarrow as pa

    wide = values.cast(pa.decimal256(76, 38))
    return compute().round(wide, ndigits=digits, round_mode="half_towards_infinity")


def _within_calendar(values: "pa.Array") -> None:
    import pyarrow as pa

    ends = compute().min_max(values.cast(pa.int64())).as_py()
    if ends["min"] is not None and not (
        ends["min"] >= EARLIEST_SECOND * 10**6 and ends["max"] < (LATEST_SECOND + 1) * 10**6
    ):
        raise ContractBreach("a value is not a timestamp of the years 1 to 9999")


def _may_hold(texts: "pa.Array", marks: bytes) -> bool:
    """Whether one of the bytes is in the texts or in what lies in memory beside them: much faster than a search."""
    data = texts.buffers()[2]
    content = data.to_pybytes() if data else b""
    return any(bytes([mark]) in content for mark in marks)


def _lengths(lists: "pa.Array") -> list[int | None]:
    return compute().list_value_length(lists).to_pylist()


def storable(values: "pa.Array") -> "tuple[pa.Array, int]":
    """Text as Postgres can hold it: without NUL, cut at LONGEST_TEXT characters; and how many values were changed.

    Takes columns of text and of lists of text; gives any other back as it came. Raises ContractBreach where bytes are
    no UTF-8, which Arrow's JSON reader takes for text.
    """
    import pyarrow as pa

    pc = compute()

    if pa.types.is_list(values.type):
        items, changed = storable(pc.list_flatten(values))
        if changed:
            texts = iter(items.to_pylist())
            lists = [None if size is None else [next(texts) for _ in range(size)] for size in _lengths(values)]
            values = pa.array(lists, type=values.type)
        return values, changed
    if not pa.types.is_string(values.type):
        return values, 0
    try:
        values.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ContractBreach("a text is not valid UTF-8") from error
    changed = 0
    if _may_hold(values, b"\x00"):
        holding = pc.match_substring(values, "\x00")
        changed += pc.sum(holding).as_py() or 0
        values = pc.replace_substring(values, "\x00", "")
    if (pc.max(pc.binary_length(values)).as_py() or 0) > LONGEST_TEXT:
        changed += pc.sum(pc.greater(pc.utf8_length(values), LONGEST_TEXT)).as_py() or 0
        values = pc.utf8_slice_codeunits(values, 0, LONGEST_TEXT)
    return values, changed


def digests(texts: "list[pa.Array]") -> "pa.Array":
    """sha256 in hex of the texts of each row, joined by the unit separator; null where one of them is null."""
    import pyarrow as pa

    joined = compute().binary_join_element_wise(*texts, "\x1f").to_pylist()
    return pa.array([None if text is None else sha256(text.encode()).hexdigest() for text in joined], pa.string())


def or_position(values: "pa.Array", parents: "pa.Array") -> "pa.Array":
    """The values, a null replaced by minus its position among the values of its parent, counted from 1.

    `parents` is the index of each value's parent, ascending.
    """
    import numpy as np
    import pyarrow as pa

    if not values.null_count:
        return values
    of = parents.to_numpy(zero_copy_only=False)
    positions = np.arange(len(of)) - np.searchsorted(of, of, side="left") + 1
    return compute().coalesce(values, pa.array(-positions, pa.int64()))
