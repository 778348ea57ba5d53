"""Which trial a launch took up last: until the trial has a run, nothing else says whose it is."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add a column; of earlier launches nothing of the kind is known."""
    op.add_column("search_launches", sa.Column("last_trial", sa.Integer))
