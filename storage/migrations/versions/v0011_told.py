"""What people were told of a launch's end."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a column; of earlier launches nobody was told."""
    op.add_column("search_launches", sa.Column("told", sa.Text))
