"""The support agent as a subject: what its tables hold, who writes them and how they are watched.

Belongs here: the declaration of its tables, seed and demo activity, cleaning up, listening to what changes in them.
Does not belong here: their DDL and rights (warehouse), retention, export and erasure (operations), Dagster.
"""
