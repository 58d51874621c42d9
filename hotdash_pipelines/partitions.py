"""Dagster's daily partitions in the store's time zone.

Belongs here: the one partitions definition. The windows behind its keys are in contracts/window.py.
"""

import dagster as dg


def daily_partitions(first: str, zone: str) -> dg.DailyPartitionsDefinition:
    """The partitions of every ingested stream."""
    return dg.DailyPartitionsDefinition(start_date=first, timezone=zone)
