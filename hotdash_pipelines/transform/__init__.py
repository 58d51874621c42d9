"""dbt's project as data: its manifest and what is made from what.

Belongs here: making and reading the manifest, lineage. Does not belong here: models (dbt_project), assets (defs).
"""
