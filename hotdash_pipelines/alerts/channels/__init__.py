"""How a message leaves the house: one folder a channel, each with its record in `CHANNEL`.

Belongs here: what a channel is (channel.py), the ones there are (kinds.py), which of them take an alert (routing.py),
and in each folder the settings, format and transport of one. Does not belong here: facts and wording (alerts.wording).
"""
