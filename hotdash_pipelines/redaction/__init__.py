"""What is personal in a text, and a token in its place.

Belongs here: known people, detectors, reading and canonical forms, the second look. Does not belong here: which rows
are exported or erased (operations).
"""
