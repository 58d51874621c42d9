"""From a lake partition to a raw table: DDL, load, merge."""
