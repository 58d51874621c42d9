"""Use cases for whoever holds settings: the command and the Dagster skin call the same one.

Belongs here: opening connections, stores and clients from settings, alerts, one turn of the SLAs.
Does not belong here: Dagster, wording, SQL.
"""
