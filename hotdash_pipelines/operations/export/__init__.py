"""Training data for those outside: rows, redacted, in versions, with proof.

Belongs here: which rows, formats, pseudonyms, verification. Does not belong here: what is personal (redaction).
"""
