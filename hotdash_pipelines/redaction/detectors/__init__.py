"""One module a kind of personal data: how it looks in a text."""
