"""Room 4: the Postgres warehouse.

Belongs here: the embedded server, connections, migrations, the DDL of the raw tables and the load from the lake.
Does not belong here: transformations (dbt), checks (quality), Dagster.
"""
