"""What the warehouse knows of the people behind the conversations of an export, so that their texts can be rid of it.

Belongs here: the way from a conversation to its contact and to that contact's customer accounts and orders. Does not
belong here: finding these values in texts (redaction/redactor.py).

A conversation of the agent is known by its number in Chatwoot, as text; of which store is not said, so the contacts of
that number in every store count. Rows that the source has deleted count too.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.operations.export.errors import ExportError
from hotdash_pipelines.redaction.redactor import KnownEntity

if TYPE_CHECKING:
    import psycopg

CONVERSATIONS, CONTACTS = "raw_chatwoot.conversations", "raw_chatwoot.contacts"
CUSTOMERS, ORDERS = "raw_shopify.customers", "raw_shopify.orders"
TABLES = (CONVERSATIONS, CONTACTS, CUSTOMERS, ORDERS)
_LONGEST_NUMBER = 18

_CONTACTS = """
select c.conversation_id, c.project_key, p.name, p.email, p.phone, p.identifier,
    lower(trim(p.email)), substring(p.identifier from '^shopify:([0-9]{1,18})$')::bigint
from raw_chatwoot.conversations c
join raw_chatwoot.contacts p on p.project_key = c.project_key and p.contact_id = c.contact_id
where c.conversation_id = any(%s)
"""
_CUSTOMERS = """
select project_key, customer_id, lower(trim(email)), phone, first_name, last_name, email, city
from raw_shopify.customers
where customer_id = any(%(ids)s) or lower(trim(email)) = any(%(emails)s) or phone = any(%(phones)s)
"""
_ORDERS = """
select distinct project_key, customer_id, lower(trim(email)), email, shipping_city
from raw_shopify.orders
where customer_id = any(%(ids)s) or lower(trim(email)) = any(%(emails)s)
"""
# By name from the catalogue: to_regclass fails where the schema may not be used.
_THERE = """
select name, c.oid is not null,
    c.oid is null or (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
from unnest(%s::text[]) as wanted (name)
left join pg_namespace n on n.nspname = split_part(name, '.', 1)
left join pg_class c on c.relnamespace = n.oid and c.relname = split_part(name, '.', 2)
"""

_Key = tuple[str, str, Any]


class People:
    """Looks up the people of conversations, a batch at a time. Counts what it met."""

    def __init__(self, conn: "psycopg.Connection[Any]") -> None:
        self._conn = conn
        self.missing = _missing(conn)
        self._seen: set[int] = set()
        self.matched = 0
        self.unmatched = 0

    def of(self, conversations: Iterable[str]) -> Mapping[str, tuple[KnownEntity, ...]]:
        """What is known by conversation; one of which nothing is known is left out."""
        names = set(conversations)
        # One number may be spelled in several ways, with zeros before it or in the digits of another script.
        numbers: dict[int, list[str]] = defaultdict(list)
        for name in names:
            if name.isdecimal() and len(name) <= _LONGEST_NUMBER:
                numbers[int(name)].append(name)
        entities_of: dict[str, dict[KnownEntity, None]] = defaultdict(dict)
        if not {CONVERSATIONS, CONTACTS} & set(self.missing):
            self._contacts(numbers, entities_of)
        known = {name: tuple(entities) for name, entities in entities_of.items() if entities}
        self._count(names, known)
        return known

    def as_json(self) -> dict[str, Any]:
        """As the manifest has it: conversations with known people and without, and the tables that were missing."""
        return {"matched": self.matched, "unmatched": self.unmatched, "tables_missing": list(self.missing)}

    def _count(self, names: Iterable[str], known: Mapping[str, object]) -> None:
        for name in names:
            # Drafts of a conversation may lie far apart; hashes keep what must be remembered small.
            if hash(name) not in self._seen:
                self._seen.add(hash(name))
                self.matched += name in known
                self.unmatched += name not in known

    def _contacts(self, numbers: Mapping[int, Sequence[str]], entities_of: dict[str, dict[KnownEntity, None]]) -> None:
        by_key: dict[_Key, list[str]] = defaultdict(list)
        rows = self._conn.execute(_CONTACTS, (list(numbers),)).fetchall()
        for number, project, name, email, phone, identifier, plain_email, customer_id in rows:
            keys = _keys(project, customer_id, plain_email, phone)
            for conversation in numbers[number]:
                _add(entities_of[conversation], name=name, email=email, phone=phone, id=identifier)
                for key in keys:
                    by_key[key].append(conversation)
        if CUSTOMERS not in self.missing:
            self._customers(by_key, entities_of)
        if ORDERS not in self.missing:
            self._orders(by_key, entities_of)

    def _customers(self, by_key: dict[_Key, list[str]], entities_of: dict[str, dict[KnownEntity, None]]) -> None:
        accounts: dict[_Key, list[str]] = defaultdict(list)
        for project, customer_id, plain_email, phone, first, last, email, city in self._matching(_CUSTOMERS, by_key):
            keys = _keys(project, customer_id, plain_email, phone)
            for conversation in _met(by_key, keys):
                name = " ".join(part for part in (first, last) if part)
                _add(entities_of[conversation], name=name, email=email, phone=phone, city=city)
                for key in keys:
                    accounts[key].append(conversation)
        for key, conversations in accounts.items():
            by_key[key].extend(conversations)

    def _orders(self, by_key: Mapping[_Key, list[str]], entities_of: dict[str, dict[KnownEntity, None]]) -> None:
        for project, customer_id, plain_email, email, city in self._matching(_ORDERS, by_key):
            for conversation in _met(by_key, _keys(project, customer_id, plain_email, None)):
                _add(entities_of[conversation], email=email, city=city)

    def _matching(self, statement: str, by_key: Mapping[_Key, object]) -> list[tuple[Any, ...]]:
        wanted: dict[str, set[Any]] = {"ids": set(), "emails": set(), "phones": set()}
        for _, kind, value in by_key:
            wanted[kind].add(value)
        return self._conn.execute(
            statement.encode(), {name: list(values) for name, values in wanted.items()}
        ).fetchall()


def _keys(project: str, customer_id: int | None, email: str | None, phone: str | None) -> Sequence[_Key]:
    """By what a person is the same one in two tables of a store."""
    given = (("ids", customer_id), ("emails", email), ("phones", phone))
    return [(project, kind, value) for kind, value in given if value]


def _met(by_key: Mapping[_Key, list[str]], keys: Iterable[_Key]) -> set[str]:
    return {conversation for key in keys for conversation in by_key.get(key, ())}


def _add(entities: dict[KnownEntity, None], **values: str | None) -> None:
    for kind, value in values.items():
        if value and value.strip():
            entities[KnownEntity(kind, value.strip())] = None


def _missing(conn: "psycopg.Connection[Any]") -> tuple[str, ...]:
    """Which of the tables are not there. Raises ExportError for one that is there and may not be read."""
    rows = conn.execute(_THERE, (list(TABLES),)).fetchall()
    closed = [name for name, _, may_read in rows if not may_read]
    if closed:
        raise ExportError(
            f"{', '.join(closed)} cannot be read, so the customers' names would stay in the texts: "
            f"let an administrator run `grant select on {', '.join(closed)} to {conn.info.user}`"
        )
    return tuple(sorted(name for name, is_there, _ in rows if not is_there))
