"""The ground: what every room may use and what itself uses none of them.

Belongs here: windows of business days, lengths of time, failpoints, strict YAML. Does not belong here: anything that
knows a source, a table, a setting or Dagster.
"""
