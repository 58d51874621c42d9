"""Runnable measurements with their peers and floors side by side; docs/performance.md has the results.

Belongs here: what `make bench` runs. Does not belong here: anything that the pipeline imports.
"""
