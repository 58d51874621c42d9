"""Throw-away credentials of one stand-in: made at start, written to its endpoint file, worth nothing elsewhere.

Belongs here: making them and storing them. Does not belong here: checking them; each API face does.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHOP_DOMAIN = "hotdash-demo.myshopify.com"
PROJECT_KEY = "hotdash-demo"


def make_credentials(url: str) -> dict[str, Any]:
    """Fresh credentials for the stand-in at `url`, under the names the endpoint file uses."""
    from hotdash_pipelines.demo.ga4.auth import make_service_account

    return {
        "shop_domain": SHOP_DOMAIN,
        "project_key": PROJECT_KEY,
        "client_id": secrets.token_hex(16),
        "client_secret": "shpss_" + secrets.token_hex(16),
        "static_token": "shpat_" + secrets.token_hex(16),
        "chatwoot_token": secrets.token_urlsafe(18),
        "chatwoot_agent_token": secrets.token_urlsafe(18),
        "chatwoot_account_id": 1,
        "ga4_property_id": "424242",
        "ga4_service_account": make_service_account(url),
        "slack_webhook_url": f"{url}/slack/services/T000/B000/{secrets.token_hex(12)}",
        "slack_bot_token": f"xoxb-{secrets.token_hex(12)}",
    }


def write_endpoint_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write the file at once and readable by its owner only; a reader sees the old file or the whole new one.

    It holds secrets: what a killed writer left of it goes too.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
