"""The stack on one machine: what `hotdash up` starts and stops.

Belongs here: Dagster's instance, child processes, the first load and its progress.
Does not belong here: the verbs themselves (cli), anything that an installation on several machines needs too.
"""
