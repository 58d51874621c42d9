"""Chatwoot: client, paging and streams."""
