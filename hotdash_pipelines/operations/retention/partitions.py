"""Whole partitions that are too old: dropped, which costs nothing, instead of emptied row by row.

Belongs here: finding such partitions, reading one whole, dropping it. Does not belong here: archiving (run.py).

The agent's tables come without partitions; where an owner partitions one by its age, the rest follows by itself.
"""

from typing import TYPE_CHECKING

from hotdash_pipelines.operations.retention.rules import SCHEMA, CutOffs, RetentionRule, literal

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Cursor

# Leaves of a table that is partitioned by range over exactly the column of its age, whose upper bound is not above the
# cut-off. A bound is text only: `FOR VALUES FROM ('...') TO ('...')`, in the session's zone, which is UTC.
# Left out: what the connection's user may not drop, or may not see every row of.
_BELOW = """
with bounds as (
    select
        leaf.oid::regclass::text as name,
        substring(pg_get_expr(leaf.relpartbound, leaf.oid) from ' TO \\(''([^'']+)''\\)$') as upper_bound
    from pg_partitioned_table as parted
    join pg_inherits as link on link.inhparent = parted.partrelid
    join pg_class as leaf on leaf.oid = link.inhrelid
    join pg_attribute as age on age.attrelid = parted.partrelid and age.attnum = parted.partattrs[0]
    where parted.partrelid = to_regclass('{table}')
        and parted.partstrat = 'r' and parted.partnatts = 1 and age.attname = '{age}'
        and leaf.relkind = 'r'
        and pg_has_role(session_user, leaf.relowner, 'usage') and not row_security_active(leaf.oid)
)
select name from bounds where upper_bound::timestamptz <= {cutoff} order by upper_bound::timestamptz
"""


def below(cursor: "Cursor", rule: RetentionRule, at: CutOffs) -> list[str]:
    """Names of the partitions whose rows are all too old, oldest first; none for a rule with an exception."""
    if not rule.is_plain:
        return []
    table = f"{SCHEMA}.{rule.table}"
    cursor.execute(_BELOW.format(table=table, age=rule.age[0], cutoff=literal(at.normal)))
    return [row[0] for row in cursor.fetchall()]


def rows_of(cursor: "Cursor", rule: RetentionRule, partition: str) -> str:
    """Lock the table against everybody; the statement that reads all of the partition, as the connection's user."""
    cursor.execute("reset role")
    cursor.execute(f"lock table {SCHEMA}.{rule.table} in access exclusive mode")
    return f"select * from only {partition} order by {rule.key}"  # noqa: S608 - a name that the server quoted


def drop(cursor: "Cursor", partition: str) -> None:
    """Drop the partition, in the transaction that archived its rows."""
    cursor.execute(f"drop table {partition}")
