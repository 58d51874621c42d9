"""`hotdash monitor`: watching the support agent live. Belongs here: its verbs and their screen."""
