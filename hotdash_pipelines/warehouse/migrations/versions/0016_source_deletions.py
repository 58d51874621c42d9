"""Records that their source deleted stay deleted."""

from alembic import op  # noqa: TID253 - only Alembic loads this file

from hotdash_pipelines.warehouse.migrations.files import run_down, run_up

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the SQL file of this name."""
    run_up(op.get_bind(), __file__)


def downgrade() -> None:
    """Run the rollback file of this name."""
    run_down(op.get_bind(), __file__)
