"""What contracts and partitions look like in the Dagster UI.

Belongs here: descriptions, column schemas and metadata entries, shared by the lake's, the raw tables' and dbt's assets.
Does not belong here: definitions (defs), the facts themselves (contracts, lake, warehouse).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from hotdash_pipelines.contracts import Contract, Table
from hotdash_pipelines.lake.partition import PartitionManifest
from hotdash_pipelines.settings import get_settings

_LATE = {
    "updated": "A partition holds the rows whose `{cursor}` is on that day; the last {days} days are read again, and "
    "today up to now.",
    "event_date": "A partition holds all rows of that date once it is over; the last {days} days are restated, so read "
    "again nightly.",
    "snapshot": "A listing shows only the present and stands for the last complete day: older partitions keep what "
    "they have.",
}


# What GA4 says of a report's figures, as the client notes it.
_SAID_OF_FIGURES = ("sampled_share", "is_thresholded", "has_other_row", "empty_reason")


def table_description(contract: Contract, table: Table, where: str) -> str:
    """The text an analyst reads: what one row is, where it comes from, how late it may be."""
    late = _LATE[contract.semantics].format(cursor=contract.cursor, days=contract.refetch_days)
    return (
        f"{table.description}\n\n{where} {late} It is late after {contract.late_after_hours} hours.\n\n"
        f"Key: `{', '.join(table.key)}`. "
        f"Contract: `contracts/{contract.source}/{contract.stream}.yaml`, version {contract.version}."
    )


def column_schema(columns: Iterable[tuple[str, str, str, bool, Mapping[str, str]]]) -> dg.TableSchema:
    """A table schema from (name, type, description, nullable, tags)."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name, kind, description, constraints=dg.TableColumnConstraints(nullable=nullable), tags=dict(tags)
            )
            for name, kind, description, nullable, tags in columns
        ]
    )


def runbook(page: str) -> dg.UrlMetadataValue:
    """Link to a page of docs/, such as `runbooks/run-failed.md`."""
    return dg.MetadataValue.url(f"{get_settings().runbook_base_url}/{page}")


def contract_columns(contract: Contract, table: Table) -> list[tuple[str, str, str, bool, dict[str, str]]]:
    """The columns of one table of a contract, personal data tagged by its class."""
    columns = []
    for name in table.column_names:
        field = contract.field_of(table, name)
        tags = {} if field.pii == "none" else {"pii": field.pii}
        columns.append((name, field.type, field.description, field.nullable and name not in table.key, tags))
    return columns


def contract_metadata(
    contract: Contract, table: Table, extra: Sequence[tuple[str, str, str, bool, dict[str, str]]] = ()
) -> dict[str, Any]:
    """Definition metadata of an asset that a contract describes: its columns and links to the documentation."""
    docs = get_settings().runbook_base_url
    return {
        "dagster/column_schema": column_schema([*extra, *contract_columns(contract, table)]),
        "contract": dg.MetadataValue.path(f"hotdash_pipelines/contracts/{contract.source}/{contract.stream}.yaml"),
        "contract_version": contract.version,
        "runbook": dg.MetadataValue.url(f"{docs}/runbooks/run-failed.md"),
    }


LOADER_COLUMNS: list[tuple[str, str, str, bool, dict[str, str]]] = [
    ("project_key", "text", "The store that the row belongs to.", False, {}),
    ("_window", "text", "Partition that the row was last loaded from.", False, {}),
    ("_loaded_at", "timestamptz", "When a load last changed the row.", False, {}),
    ("_deleted_at", "timestamptz", "When the row was found missing from a full listing.", True, {}),
]


def partition_metadata(manifest: PartitionManifest, uri: str) -> dict[str, Any]:
    """What is worth seeing of one partition in the lake."""
    entries: dict[str, Any] = {
        "dagster/partition_row_count": manifest.rows[manifest.stream],
        "requests": manifest.requests,
        "api_version": manifest.api_version,
        "files": dg.MetadataValue.path(uri),
    }
    if manifest.cost is not None:
        entries["api_cost"] = float(manifest.cost)
    if manifest.cursor_max is not None:
        entries["newest"] = str(manifest.cursor_max)
    entries |= {name: manifest.notes[name] for name in _SAID_OF_FIGURES if name in manifest.notes}
    if "deletions_unknown" in manifest.notes:
        entries["deletions_unknown"] = "the source did not tell what it deleted; the look for lost ids finds it later"
    if manifest.is_open:
        entries["open_until_read_again"] = f"read up to {manifest.complete_to:%Y-%m-%d %H:%M} UTC; the day was not over"
    if manifest.quarantined:
        entries["quarantined_records"] = manifest.quarantined
    if manifest.repeated or manifest.superseded:
        entries["records_that_came_again"] = manifest.repeated + manifest.superseded
    if manifest.unknown_fields:
        entries["unknown_fields"] = ", ".join(sorted(manifest.unknown_fields))
    return entries
