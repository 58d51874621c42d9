"""All that knows Dagster and is no definition.

Belongs here: keys, partitions, resources, executors, failures, results of checks, metadata, the history of runs.
Does not belong here: assets, checks, jobs, schedules and sensors (defs), anything of the domain.
"""
