"""From a source's window to a partition of the lake and the raw table.

Belongs here: which windows are due, the order of the steps of one window. Does not belong here: fetching (sources),
parsing (contracts), files (lake), SQL (warehouse), Dagster.
"""
