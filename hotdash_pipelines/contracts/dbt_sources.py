"""The dbt sources, made from the contracts.

Belongs here: the YAML of `models/staging/<source>/_<source>__sources.yml`. Does not belong here: models and tests.
The files are committed; `python -m hotdash_pipelines.contracts.dbt_sources` writes them anew after a contract changed.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import yaml

from hotdash_pipelines.contracts.model import Contract, Table, load_contracts

_HEADER = "# Made from hotdash_pipelines/contracts/{source}/ by `python -m hotdash_pipelines.contracts.dbt_sources`.\n"
_LOADER_COLUMNS = {
    "_window": "Partition that last wrote the row.",
    "_loaded_at": "When the row last changed in the warehouse.",
    "_deleted_at": "When the row was first missing from a full listing, null while it is listed.",
}


class _Dumper(yaml.SafeDumper):
    """Indents list items below their key, as the other YAML files of the project do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML passes it
        super().increase_indent(flow, False)


def render_sources(contracts: Sequence[Contract]) -> dict[Path, str]:
    """One file a source: path below the repository's root -> content. The result does not depend on the order given."""
    ordered = sorted(contracts, key=lambda contract: (contract.source, contract.stream))
    files = {}
    for source, streams in groupby(ordered, key=lambda contract: contract.source):
        schema = f"raw_{source}"
        document = {
            "sources": [
                {
                    "name": schema,
                    "schema": schema,
                    "description": f"What {source} sent, one table a list of records, loaded by the pipeline.",
                    "tables": [_table(contract, table) for contract in streams for table in contract.tables],
                }
            ]
        }
        body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=160)
        files[Path("dbt_project/models/staging") / source / f"_{source}__sources.yml"] = (
            _HEADER.format(source=source) + body
        )
    return files


def write_sources(root: Path, contracts: Sequence[Contract]) -> list[Path]:
    """Write the files that differ below `root`, the repository; return their paths."""
    written = []
    for path, content in render_sources(contracts).items():
        target = root / path
        if not target.exists() or target.read_text(encoding="utf-8") != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
            written.append(target)
    return written


def _table(contract: Contract, table: Table) -> dict[str, object]:
    columns: list[dict[str, object]] = [{"name": "project_key", "description": "Slug of the store."}]
    for name in table.column_names:
        field = contract.field_of(table, name)
        column: dict[str, object] = {"name": name, "description": field.description}
        if field.pii != "none":
            column["config"] = {"meta": {"pii": field.pii}}
        columns.append(column)
    columns.extend({"name": name, "description": text} for name, text in _LOADER_COLUMNS.items())
    return {
        "name": table.name,
        "description": table.description,
        "config": {
            "loaded_at_field": "_loaded_at",
            "meta": {
                "owner": contract.owner,
                "grain": ", ".join(("project_key", *table.key)),
                "contract_version": contract.version,
            },
        },
        "columns": columns,
    }


if __name__ == "__main__":
    write_sources(Path(__file__).resolve().parents[2], load_contracts())
