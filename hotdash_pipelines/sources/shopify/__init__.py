"""Shopify: client, paging and streams."""
