"""Room 8: what is done to the operational tables by hand or by schedule, apart from loading.

Belongs here: seeding the support agent's tables, the demo's agent activity, cleaning both up; functions that take a
connection or URL and the present instant. Does not belong here: schemas and rights (warehouse), Dagster, verbs (cli).
"""
