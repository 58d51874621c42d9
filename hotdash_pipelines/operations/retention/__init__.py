"""What is old leaves the tables, into a verified archive first.

Belongs here: rules, the calendar, the gate, archives and the records of runs. Does not belong here: erasing a person
(operations.erasure), housekeeping of files.
"""
