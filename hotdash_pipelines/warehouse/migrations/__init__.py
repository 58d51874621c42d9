"""The warehouse's schema, one numbered pair of SQL files a change.

Belongs here: `versions/NNNN_name.sql`, its `.rollback.sql` and the few lines of `NNNN_name.py` by which Alembic chains
them. Does not belong here: raw tables (made from the contracts by warehouse.loading.ddl), models (dbt).
"""
