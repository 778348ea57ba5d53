"""The traceback of the error that ended a run."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a column; of what has failed before nothing is known."""
    op.add_column("search_runs", sa.Column("traceback", sa.Text))
