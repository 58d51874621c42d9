"""Taking a person out of the tables, and naming who else holds them.

Belongs here: finding and removing. Does not belong here: hiding people in texts that stay (redaction).
"""
