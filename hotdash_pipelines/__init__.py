"""HotDash Pipelines: the data platform behind the HotDash control centre.

Data flows one way: sources (Shopify, Chatwoot, GA4) -> lake (Parquet) -> warehouse (raw tables in Postgres) -> dbt
(staging -> marts) -> quality -> alerts. Every room is plain Python that does not know Dagster; `defs/` is the thin
Dagster skin over them and `definitions.py` its front door.
"""

__version__ = "0.1.0"
