"""Dagster's daily partitions in the store's time zone.

Belongs here: the one partitions definition, and how many partitions a run may hold.
Does not belong here: the windows behind its keys (base/windows.py).
"""

import dagster as dg

# A run writes an event for each partition of each asset, and each costs more than the last (dagster issue 19618): a
# long backfill goes in runs of a month, as `hotdash up` does.
BACKFILL_POLICY = dg.BackfillPolicy.multi_run(max_partitions_per_run=30)


def daily_partitions(first: str, zone: str) -> dg.DailyPartitionsDefinition:
    """The partitions of every ingested stream, the current day included: it is open, and read up to now."""
    return dg.DailyPartitionsDefinition(start_date=first, timezone=zone, end_offset=1)
