"""What became of the records of a window, and those that could not be loaded."""

from alembic import op  # noqa: TID253 - only Alembic loads this file

from hotdash_pipelines.warehouse.migrations.files import run_down, run_up

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the SQL file of this name."""
    run_up(op.get_bind(), __file__)


def downgrade() -> None:
    """Run the rollback file of this name."""
    run_down(op.get_bind(), __file__)
