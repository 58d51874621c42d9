"""Room 1: what each source promised to send, one YAML file a stream.

Belongs here: the contract files, their typed model, the Arrow schemas and column types derived from them, and the
parser that turns raw response pages into tables by a contract. One contract gives the parser, the lake schema, the DDL
of the raw tables and the dbt sources, so that they cannot disagree.
Does not belong here: fetching (sources), files (lake), SQL (warehouse), Dagster.
"""

from hotdash_pipelines.contracts.model import Contract, ContractError, Field, Table, load_contract, load_contracts

__all__ = ["Contract", "ContractError", "Field", "Table", "load_contract", "load_contracts"]
