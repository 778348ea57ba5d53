"""Tokens of the HTTP API, and what its clients were given to train."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the tables, empty."""
    op.create_table(
        "search_tokens",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("expires_at", sa.DateTime),
        sa.Column("revoked_at", sa.DateTime),
        sa.PrimaryKeyConstraint("name", name="pk_search_tokens"),
        sa.UniqueConstraint("hash", name="uq_search_tokens_hash"),
    )
    op.create_table(
        "search_asks",
        sa.Column("launch_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("trial_number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("launch_id", "key", name="pk_search_asks"),
    )
