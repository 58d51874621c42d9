"""Looking at what was promised: in Postgres, and in what the orchestrator answers."""
