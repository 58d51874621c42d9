"""A backup brought back, proven beside the live database and swapped in.

Belongs here: loading, filling, roles, proof, the swap. Does not belong here: making backups (operations.backup).
"""
