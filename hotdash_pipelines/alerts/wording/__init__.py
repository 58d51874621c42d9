"""From facts to the words of a message, one module a kind of news.

Belongs here: titles, lines, actions. Does not belong here: a channel's format or transport (alerts.channels).
"""
