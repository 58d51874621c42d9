"""The store behind the rows, as `ops.projects` keeps it for dbt.

Belongs here: one upsert. Does not belong here: where the values come from (settings).
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True)
class Project:
    """One store: its slug, and what the sources call it."""

    project_key: str
    shop_domain: str | None
    currency_code: str
    iana_timezone: str
    chatwoot_account_id: int | None
    ga4_property_id: str | None
    is_demo: bool


def upsert_project(conn: psycopg.Connection[Any], project: Project, now: datetime) -> None:
    """Write the store's row; `updated_at` moves only when something changed."""
    conn.execute(
        """
        insert into ops.projects as p (
            project_key, shop_domain, currency_code, iana_timezone,
            chatwoot_account_id, ga4_property_id, is_demo, updated_at
        )
        values (
            %(project_key)s, %(shop_domain)s, %(currency_code)s, %(iana_timezone)s,
            %(chatwoot_account_id)s, %(ga4_property_id)s, %(is_demo)s, %(now)s
        )
        on conflict (project_key) do update set
            shop_domain = excluded.shop_domain,
            currency_code = excluded.currency_code,
            iana_timezone = excluded.iana_timezone,
            chatwoot_account_id = excluded.chatwoot_account_id,
            ga4_property_id = excluded.ga4_property_id,
            is_demo = excluded.is_demo,
            updated_at = excluded.updated_at
        where (p.shop_domain, p.currency_code, p.iana_timezone)
                is distinct from (excluded.shop_domain, excluded.currency_code, excluded.iana_timezone)
            or (p.chatwoot_account_id, p.ga4_property_id, p.is_demo)
                is distinct from (excluded.chatwoot_account_id, excluded.ga4_property_id, excluded.is_demo)
        """,
        {**asdict(project), "now": now},
    )
