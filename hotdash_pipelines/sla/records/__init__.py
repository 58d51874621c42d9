"""What is kept of promises: states, violations, incidents, notices, the sign of life."""
