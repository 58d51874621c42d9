"""Slack: the incoming webhook, the bot's Web API, and the courier that chooses between them."""
