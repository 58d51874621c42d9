"""Migrations: applying, checking, scripting, dumping and rolling back. The files are in warehouse/migrations."""
