"""What may be promised: fields, rules, calendars and the files they are read from."""
