"""Judging a promise: pure functions of definitions, observations, states and the clock."""
