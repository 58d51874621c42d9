"""Room 3: the lake, Parquet files in a folder or a bucket.

Belongs here: where files are kept (storage/store.py), what a partition is and when it counts as written (partition.py).
Does not belong here: fetching (sources), parsing (contracts), loading into Postgres (warehouse), Dagster.
"""
