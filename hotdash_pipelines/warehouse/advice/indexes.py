"""Indexes: the unused, the redundant, the broken, and those that are missing.

Belongs here: judging what advice_catalog read, and what foreign keys and policies search by.
Does not belong here: building (apply.py), how a policy is planned (policies.py).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.advice.model import AdviceFinding, AdviceTable, Index, Limits, MissingIndex, Need

if TYPE_CHECKING:
    import psycopg

_KEEP = "or keep it: `comment on index {name} is 'keep: the reason'`"
_LONGEST_NAME = 63

_FOREIGN_KEYS = """
select k.conrelid, k.conname, k.confrelid::regclass::text, array_agg(a.attnum order by u.position)::int[],
    array_agg(quote_ident(a.attname) order by u.position)
from pg_constraint k
cross join unnest(k.conkey) with ordinality as u (attnum, position)
join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
where k.contype = 'f' and k.conparentid = 0
group by k.oid, k.conrelid, k.conname, k.confrelid
order by k.conrelid, k.conname
"""

# The columns of the policy's own table that its expressions name, from the dependencies that the server keeps.
_POLICIES = """
select p.polrelid, p.polname, pg_get_expr(p.polqual, p.polrelid), array_agg(a.attnum order by a.attnum)::int[],
    array_agg(quote_ident(a.attname) order by a.attnum)
from pg_policy p
join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid > 0
join pg_attribute a on a.attrelid = p.polrelid and a.attnum = d.refobjsubid
where p.polqual is not null
group by p.oid, p.polrelid, p.polname, p.polqual
order by p.polrelid, p.polname
"""


def needs(conn: "psycopg.Connection[Any]", tables: Sequence[AdviceTable]) -> list[Need]:
    """What foreign keys and the policies' comparisons with a claim search each table by."""
    by_oid = {table.oid: table for table in tables}
    wanted = []
    for oid, name, target, numbers, columns in conn.execute(_FOREIGN_KEYS):
        if oid in by_oid:
            reason = f"foreign key {name}: a delete in {target} looks here for its rows"
            wanted.append(Need(by_oid[oid], tuple(zip(numbers, columns, strict=True)), reason))
    for oid, name, expression, numbers, columns in conn.execute(_POLICIES):
        if oid not in by_oid:
            continue
        compared = [(n, c) for n, c in zip(numbers, columns, strict=True) if _is_compared(c, expression)]
        reason = f"policy {name} filters by it"
        if " OR " in expression:
            wanted.extend(Need(by_oid[oid], (column,), reason) for column in compared)
        elif compared:
            wanted.append(Need(by_oid[oid], tuple(compared), reason, any_one=True))
    return wanted


def missing_indexes(wanted: Sequence[Need]) -> list[MissingIndex]:
    """One index for each table and columns that no index serves, with every reason for it; names are stable."""
    reasons: dict[tuple[int, tuple[str, ...]], tuple[AdviceTable, list[str]]] = {}
    for need in wanted:
        if any(_serves(index, need) for index in need.table.indexes):
            continue
        columns = need.columns[:1] if need.any_one else need.columns
        key = (need.table.oid, tuple(name for _, name in columns))
        reasons.setdefault(key, (need.table, []))[1].append(need.reason)
    return [_missing(table, columns, tuple(why)) for (_, columns), (table, why) in reasons.items()]


def index_findings(
    tables: Sequence[AdviceTable], wanted: Sequence[Need], since: datetime | None, now: datetime, limits: Limits
) -> tuple[list[AdviceFinding], list[str]]:
    """Findings about indexes, the missing ones included, and notes on what was not judged."""
    missing = [_missing_finding(index, limits) for index in missing_indexes(wanted)]
    broken = [
        _broken(index) for table in tables for index in table.indexes if not index.is_valid and not index.is_bound
    ]
    redundant: dict[int, Index] = {}
    for table in tables:
        if table.rows >= limits.indexed_table_rows:
            redundant.update(_redundant(table))
    findings = [*missing, *broken]
    findings += [_redundant_finding(i, redundant[i.oid]) for t in tables for i in t.indexes if i.oid in redundant]
    notes = []
    kept = sum(index.is_kept for table in tables for index in table.indexes)
    if kept:
        notes.append(f"indexes: {kept} are kept whatever their use, by a comment that begins with `keep:`")
    days = (now - since).total_seconds() / 86400 if since else None
    if days is None or days < limits.statistics_days:
        age = "of unknown age" if days is None else f"{max(days, 0):.1f} days old"
        notes.append(f"unused indexes: the statistics are {age}; judged from {limits.statistics_days:g} days on")
        return findings, notes
    # Of two indexes for the same, the one that is told to stay may be unused only because the other one is there.
    spared = {oid for pair in redundant.items() for oid in (pair[0], pair[1].oid)}
    for table in tables:
        findings += [_unused_finding(i, table, days) for i in _unused(table, wanted, limits) if i.oid not in spared]
    return findings, notes


def _is_compared(column: str, expression: str) -> bool:
    """Whether a deparsed policy compares the bare column with something that is no constant."""
    name = re.escape(column)
    bare = rf"(?:(?<!\w)\({name}\)::[\w ]+|(?<![\w.\"]){name})"
    constant = r"(?:ANY|'|\(?-?\d|true|false|NULL)"
    return bool(re.search(rf"{bare} = (?!{constant})|(?<!') = {bare}(?![\w.(])", expression))


def _serves(index: Index, need: Need) -> bool:
    """Whether the index finds the rows of a need: it leads with the columns, in any order."""
    if not index.is_valid or index.method not in ("btree", "hash"):
        return False
    wanted = [number for number, _ in need.columns]
    if index.predicate is not None and index.predicate not in {f"({name} IS NOT NULL)" for _, name in need.columns}:
        return False
    if need.any_one:
        return index.columns[0] in wanted
    return set(index.columns[: min(len(wanted), index.key_count)]) == set(wanted)


def _missing(table: AdviceTable, columns: tuple[str, ...], reasons: tuple[str, ...]) -> MissingIndex:
    name = _index_name(table, columns)
    listed = ", ".join(columns)
    ddl = f"create index concurrently {_quoted(name)} on {table.sql} ({listed})"
    return MissingIndex(table, name, columns, reasons, None if table.kind == "p" else ddl)


def _index_name(table: AdviceTable, columns: tuple[str, ...]) -> str:
    """`<table>_<columns>_idx`; with a digest of the definition when that is too long or names another valid index."""
    bare = [column.strip('"').replace('""', '"') for column in columns]
    plain = "_".join((table.name, *bare, "idx"))
    taken = any(index.name == plain and index.is_valid for index in table.indexes)
    if not taken and len(plain.encode()) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256("\0".join((table.qualified, *columns)).encode()).hexdigest()[:8]
    head = plain.removesuffix("_idx").encode()[: _LONGEST_NAME - len(digest) - 5].decode(errors="ignore")
    return f"{head}_{digest}_idx"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _missing_finding(index: MissingIndex, limits: Limits) -> AdviceFinding:
    columns = ", ".join(index.columns)
    by_policy = any(reason.startswith("policy") for reason in index.reasons)
    return AdviceFinding(
        kind="missing_index",
        id=f"missing_index:{index.table.qualified}({columns})",
        severity="critical" if by_policy and index.table.rows > limits.big_table_rows else "warning",
        object=f"{index.table.qualified} ({columns})",
        measured=f"no index leads with it, {index.table.rows:,} rows; {'; '.join(index.reasons)}",
        remedy="build the index" if index.ddl else "build the index on each partition, then on the table",
        ddl=index.ddl,
    )


def _broken(index: Index) -> AdviceFinding:
    return AdviceFinding(
        kind="invalid_index",
        id=f"invalid_index:{index.qualified}",
        severity="warning",
        object=index.qualified,
        measured="invalid: every write keeps it up and no query uses it",
        remedy="a build of it failed, or runs right now: once none runs, drop it and build it again",
        ddl=f"drop index concurrently {index.sql}",
    )


def _redundant(table: AdviceTable) -> Iterator[tuple[int, Index]]:
    """Pairs of a dispensable index and the one that serves in its place."""
    gone: set[int] = set()
    # Newest first, so that of two equals the older one stays.
    for index in sorted(table.indexes, key=lambda i: -i.oid):
        if index.is_bound or index.is_unique or index.is_kept or not index.is_valid:
            continue
        others = [o for o in table.indexes if o.oid != index.oid and o.oid not in gone and _covers(o, index)]
        if others:
            gone.add(index.oid)
            yield index.oid, min(others, key=lambda o: (not o.is_bound, not o.is_unique, o.key_count, o.oid))


def _covers(wide: Index, narrow: Index) -> bool:
    """Whether `wide` answers everything that `narrow` does: the same leading keys, read forwards or backwards."""
    if not wide.is_valid or wide.method != narrow.method or wide.predicate != narrow.predicate:
        return False
    count = narrow.key_count
    same_keys = (wide.keys[:count], wide.opclasses[:count], wide.collations[:count]) == (
        narrow.keys[:count],
        narrow.opclasses[:count],
        narrow.collations[:count],
    )
    if not same_keys or not set(narrow.keys[count:]) <= set(wide.keys):
        return False
    if narrow.method != "btree":
        return wide.key_count == count and wide.options == narrow.options
    ahead = wide.directions[:count]
    # Bits of a direction: 1 descending, 2 nulls first. A scan backwards turns both.
    return wide.key_count >= count and narrow.directions[:count] in (ahead, tuple(bits ^ 3 for bits in ahead))


def _redundant_finding(index: Index, other: Index) -> AdviceFinding:
    is_same = index.key_count == other.key_count
    return AdviceFinding(
        kind="duplicate_index" if is_same else "redundant_index",
        id=f"redundant_index:{index.qualified}",
        severity="warning",
        object=index.qualified,
        measured=f"{_size(index.size)}; {other.name} {'has the same keys' if is_same else 'begins with the same keys'}",
        remedy=f"drop it, {_KEEP.format(name=index.sql)}",
        ddl=f"drop index concurrently {index.sql}",
    )


def _unused(table: AdviceTable, wanted: Sequence[Need], limits: Limits) -> Iterator[Index]:
    reads = table.seq_scans + table.index_scans
    if table.kind == "p" or table.rows < limits.indexed_table_rows or reads < limits.table_reads:
        return
    for index in table.indexes:
        if index.scans or index.is_unique or index.is_bound or index.is_kept or not index.is_valid:
            continue
        served = [need for need in wanted if need.table.oid == table.oid and _serves(index, need)]
        others = [other for other in table.indexes if other.oid != index.oid]
        # What a foreign key or a policy searches by is missed as soon as it is gone.
        if all(any(_serves(other, need) for other in others) for need in served):
            yield index


def _unused_finding(index: Index, table: AdviceTable, days: float) -> AdviceFinding:
    reads = table.seq_scans + table.index_scans
    return AdviceFinding(
        kind="unused_index",
        id=f"unused_index:{index.qualified}",
        severity="warning",
        object=index.qualified,
        measured=f"{_size(index.size)}; 0 scans in {days:.0f} days while its table was read {reads:,} times",
        remedy=f"drop it unless it was made only lately or a replica uses it, {_KEEP.format(name=index.sql)}",
        ddl=f"drop index concurrently {index.sql}",
    )


def _size(count: int) -> str:
    return f"{count / 1048576:,.1f} MB" if count >= 1048576 else f"{count // 1024} kB"
