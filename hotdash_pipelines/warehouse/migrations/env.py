"""What Alembic runs: the migrations on the connection that the room hands over, one transaction a file."""

from alembic import context  # noqa: TID253 - only Alembic loads this file

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table="alembic_version",
    version_table_schema="ops",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
