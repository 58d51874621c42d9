"""Backups of the operational tables: made, listed, verified, pruned.

Belongs here: dump, manifest, proof of a backup. Does not belong here: bringing one back (operations.restore).
"""
