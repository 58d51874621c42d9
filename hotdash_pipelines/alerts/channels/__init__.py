"""How a message leaves the house: one folder a channel, and which target an owner's messages go to.

Belongs here: routing, transport and format of each channel. Does not belong here: facts and wording (alerts.wording).
"""
