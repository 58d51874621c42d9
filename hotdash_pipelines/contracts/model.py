"""The typed form of a contract file.

Belongs here: reading and validating `contracts/<source>/<stream>.yaml`.
Does not belong here: Arrow (arrow.py), parsing of pages (parse.py), SQL types (warehouse.loading.ddl).
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.strict_yaml import StrictLoader

CONTRACTS_DIR = Path(__file__).parent

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
# Names of nested fields, each with a position where it is a list of positional values: `metricValues[0].value`.
_STEP = r"[^.\[\]]+(\[\d+\])?"
FieldPath = Annotated[str, StringConstraints(pattern=rf"^{_STEP}(\.{_STEP})*$")]
Pii = Literal["none", "name", "email", "phone", "address", "free_text", "identifier"]
Semantics = Literal["updated", "event_date", "snapshot"]
Encoding = Literal["plain", "text", "gid", "epoch_s", "epoch_s_zero_is_null", "epoch_float_s", "yyyymmdd"]

_SCALAR_TYPES = ("string", "int64", "int32", "bool", "float64", "timestamp", "date", "list<string>")
_DECIMAL = re.compile(r"^decimal\((\d{1,2}),(\d{1,2})\)$")


class ContractError(HotdashError, ValueError):
    """A contract file is wrong. The message names the file and the entry."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Field(_Strict):
    """One column: where it stands in the record and what it is.

    `path` is relative to the record (`shopMoney.amount`, `dimensionValues[0].value`), or to the whole response when
    `scope` is `page`. `encoding` says how the JSON value spells the type. With `fallback: position` a null becomes
    minus the record's position in its list, counted from 1. `digest_of` stands for a path: the column is the sha256 of
    these text columns of the same table, for keys that may be too long for an index.
    """

    name: Name
    type: str
    path: FieldPath | None = None
    description: str
    nullable: bool = True
    encoding: Encoding = "plain"
    scope: Literal["record", "page"] = "record"
    enum: tuple[str, ...] = ()
    pii: Pii = "none"
    fallback: Literal["position"] | None = None
    digest_of: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _known_type(self) -> "Field":
        if self.type not in _SCALAR_TYPES and not _DECIMAL.match(self.type):
            raise ValueError(
                f"field {self.name}: unknown type {self.type!r}; known: {', '.join(_SCALAR_TYPES)}, decimal(p,s)"
            )
        if (self.path is None) == (not self.digest_of):
            raise ValueError(f"field {self.name}: give either path or digest_of")
        if self.digest_of and self.type != "string":
            raise ValueError(f"field {self.name}: a digest is a string")
        if self.fallback and self.type != "int64":
            raise ValueError(f"field {self.name}: only an int64 falls back to a position")
        return self

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal column, None for any other type."""
        match = _DECIMAL.match(self.type)
        return (int(match[1]), int(match[2])) if match else None


class Table(_Strict):
    """One raw table: the records of the stream, or a list nested in them (`children`).

    A child inherits the parent's key columns, and its rows are replaced with their parent.
    """

    name: Name
    description: str
    records: str
    records_optional: bool = False
    key: tuple[Name, ...]
    inherits: tuple[Name, ...] = ()
    fields: tuple[Field, ...]
    ignore: tuple[str, ...] = ()
    children: tuple["Table", ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Inherited key columns first, then the table's own fields, in file order."""
        return (*self.inherits, *(field.name for field in self.fields))

    def walk(self) -> Iterator["Table"]:
        """This table, then every nested one, parents before children."""
        yield self
        for child in self.children:
            yield from child.walk()


class DeletedBy(_Strict):
    """Which rows of the source's stream `deletions` say that a record is gone: their `entity`, our column of its id.

    That stream has the columns `entity`, `entity_id` and `noticed_at`, in every source alike.
    """

    entity: str
    key: Name


class Contract(_Strict):
    """One stream of one source: its tables, key, cursor and the way a partition owns its rows.

    `semantics`: `updated` (rows whose cursor lies in the window), `event_date` (all rows of one date, restated as a
    whole) or `snapshot` (the full listing as it stands when fetched; keys that are missing from it were deleted).
    `newest_by` tells which of two versions of a row is the newer one; without it the cursor does.
    `quarantine_tolerance` is the share of a window's main records that may be set aside before the window is refused.
    `business_day` is the instant whose day in the store's zone a record counts on, which need not be its window's.
    `counts` names the column whose sum is what the source counts of a day, for rows that are sums themselves; without
    it the rows are counted. The two agree within `count_tolerance`, a share of the source's count.
    """

    source: Name
    stream: Name
    version: int
    owner: str
    semantics: Semantics
    cursor: Name | None = None
    newest_by: Name | None = None
    business_day: Name | None = None
    deleted_by: DeletedBy | None = None
    counts: Name | None = None
    count_tolerance: float = 0.0
    late_after_hours: int = 30
    refetch_days: int = 3
    quarantine_tolerance: float = 0.01
    table: Table
    digest: str

    @model_validator(mode="after")
    def _names_exist(self) -> "Contract":
        columns = set(self.table.column_names)
        if (self.cursor is not None or self.semantics != "snapshot") and self.cursor not in columns:
            raise ValueError(f"cursor {self.cursor!r} is not a field of {self.table.name}")
        if self.deleted_by is not None and self.deleted_by.key not in columns:
            raise ValueError(f"deleted_by names the unknown field {self.deleted_by.key!r}")
        if self.newest_by is not None and self.newest_by not in columns:
            raise ValueError(f"newest_by {self.newest_by!r} is not a field of {self.table.name}")
        if self.business_day is not None and self._type_of(self.business_day) != "timestamp":
            raise ValueError(f"business_day {self.business_day!r} is not a timestamp field of {self.table.name}")
        if self.counts is not None and self._type_of(self.counts) not in ("int64", "int32"):
            raise ValueError(f"counts {self.counts!r} is not a whole-number field of {self.table.name}")
        for table in self.table.walk():
            missing = [name for name in table.key if name not in table.column_names]
            if missing:
                raise ValueError(f"key of {table.name} names unknown fields {missing}")
            nullable = [field.name for field in table.fields if field.name in table.key and field.nullable]
            if nullable:
                raise ValueError(f"key fields of {table.name} must be nullable: false: {nullable}")
            by_name = {field.name: field for field in table.fields}
            for field in table.fields:
                wrong = [name for name in field.digest_of if name not in by_name or by_name[name].type != "string"]
                if wrong:
                    raise ValueError(f"{table.name}.{field.name} is a digest of no text columns: {wrong}")
            if len(set(table.column_names)) != len(table.column_names):
                raise ValueError(f"{table.name} names a field twice")
        return self

    def _type_of(self, name: str) -> str | None:
        return next((field.type for field in self.table.fields if field.name == name), None)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The main table, then its children."""
        return tuple(self.table.walk())

    @property
    def version_column(self) -> str | None:
        """The column of the main table by which an older version of a row never replaces a newer one."""
        return self.newest_by or self.cursor

    def parent_of(self, name: str) -> Table | None:
        """The table that holds `name` as a child, None for the main table."""
        return next((table for table in self.tables if any(child.name == name for child in table.children)), None)

    def field_of(self, table: Table, column: str) -> Field:
        """The field behind a column of `table`, looked up in its parents where it is inherited."""
        own = next((field for field in table.fields if field.name == column), None)
        if own is not None:
            return own
        parent = self.parent_of(table.name)
        if parent is None:
            raise KeyError(column)
        return self.field_of(parent, column)


def _table_from(raw: dict[str, object], inherited: tuple[str, ...]) -> dict[str, object]:
    fields = raw.pop("fields", {})
    children = raw.pop("children", {})
    if not isinstance(fields, dict) or not isinstance(children, dict):
        raise TypeError("fields and children must be mappings from a name to its definition")
    key = raw.get("key", [])
    table = dict(raw)
    table["inherits"] = inherited
    table["fields"] = [{"name": name, **(body or {})} for name, body in fields.items()]
    own = [str(name) for name in key] if isinstance(key, list) else []
    child_inherits = tuple(dict.fromkeys((*inherited, *own)))
    table["children"] = [_table_from({"name": name, **body}, child_inherits) for name, body in children.items()]
    return table


def _entry(location: tuple[int | str, ...], content: Any) -> str:
    """Where an error is, with fields and children by their names rather than their positions."""
    named = []
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            content = None
        is_named = isinstance(part, int) and isinstance(content, dict) and "name" in content
        named.append(str(content["name"] if is_named else part))
    return ".".join(named)


@cache
def load_contract(path: Path) -> Contract:
    """Read one contract file. Raises ContractError naming the file and what is wrong with it."""
    content = path.read_bytes()
    whole: dict[str, object] = {}
    try:
        raw = yaml.load(content, Loader=StrictLoader)  # noqa: S506 - both are safe loaders
        table = _table_from(
            {
                "name": raw["stream"],
                **{
                    k: raw.pop(k)
                    for k in ("description", "records", "records_optional", "key", "fields", "ignore", "children")
                    if k in raw
                },
            },
            (),
        )
        whole = {**raw, "table": table, "digest": hashlib.sha256(content).hexdigest()[:16]}
        contract = Contract.model_validate(whole)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{_entry(first['loc'], whole)}: " if first["loc"] else ""
        raise ContractError(f"{path.parent.name}/{path.name}: {where}{first['msg']}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{path.parent.name}/{path.name}: line {line}: {error.problem}") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{path.parent.name}/{path.name}: {type(error).__name__}: {error}") from error
    if (contract.source, contract.stream) != (path.parent.name, path.stem):
        raise ContractError(f"{path.parent.name}/{path.name}: file name and source/stream disagree")
    return contract


def load_contracts(directory: Path = CONTRACTS_DIR) -> tuple[Contract, ...]:
    """Every contract below `directory`, ordered by source and stream."""
    return tuple(load_contract(path) for path in sorted(directory.glob("*/*.yaml")))
