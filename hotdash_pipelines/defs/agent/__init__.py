"""The support agent's tables, which the agent and its reviewers write and the pipeline only reads."""
