"""What a running launch says of itself with its heartbeats."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add a column; of earlier launches nothing of the kind is known."""
    op.add_column("search_launches", sa.Column("course", sa.JSON(none_as_null=True)))
