"""`hotdash sla` and `hotdash incident`: the verbs, their tables, what they were given, the simulation."""
