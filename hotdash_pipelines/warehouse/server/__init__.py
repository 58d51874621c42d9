"""A Postgres of our own on this machine: binaries, cluster, processes."""
