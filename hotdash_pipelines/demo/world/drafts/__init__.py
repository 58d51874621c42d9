"""What will happen to an order, drawn from its own seed before anything of it has happened.

Belongs here: which events an order gets, and when. Does not belong here: what an event is and what it does to the order
(`shop_timeline`).
"""
