"""What would make slow statements faster: indexes, policies, tables, and applying it."""
