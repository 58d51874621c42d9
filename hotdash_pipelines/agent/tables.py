"""The tables of the support agent as dbt's source declares them: the one place that describes their columns.

Belongs here: reading that declaration into typed objects. Does not belong here: their DDL (warehouse/migrations) and
what Dagster makes of them (defs/agent). A test compares the declaration with a migrated database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hotdash_pipelines.base.strict_yaml import StrictLoader
from hotdash_pipelines.settings import PROJECT_ROOT

DECLARATION = PROJECT_ROOT / "dbt_project" / "models" / "staging" / "agent" / "_agent__sources.yml"
SCHEMA = "agent"


@dataclass(frozen=True)
class AgentColumn:
    """One column with its Postgres type; `pii` is the class of personal data, None without any."""

    name: str
    type: str
    description: str
    is_nullable: bool
    pii: str | None


@dataclass(frozen=True)
class AgentTable:
    """One table: what one row is, whose it is, and how old its newest row (`newest_by`) may be."""

    name: str
    description: str
    owner: str
    grain: str
    newest_by: str
    late_after_hours: int
    columns: tuple[AgentColumn, ...]


@cache
def load_agent_tables(path: Path = DECLARATION) -> tuple[AgentTable, ...]:
    """Every table of the declaration, in its order, read once. Raises KeyError when an entry lacks something."""
    (source,) = yaml.load(path.read_bytes(), Loader=StrictLoader)["sources"]  # noqa: S506 - a safe loader
    return tuple(_table(table) for table in source["tables"])


def _table(table: Mapping[str, Any]) -> AgentTable:
    config = table["config"]
    return AgentTable(
        name=table["name"],
        description=table["description"],
        owner=config["meta"]["owner"],
        grain=config["meta"]["grain"],
        newest_by=config["loaded_at_field"],
        late_after_hours=config["meta"]["late_after_hours"],
        columns=tuple(_column(column) for column in table["columns"]),
    )


def _column(column: Mapping[str, Any]) -> AgentColumn:
    meta = column.get("config", {}).get("meta", {})
    return AgentColumn(
        name=column["name"],
        type=column["data_type"],
        description=column["description"],
        is_nullable=meta.get("is_nullable", False),
        pii=meta.get("pii"),
    )
