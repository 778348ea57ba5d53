"""Benchmarks as the dashboards read them, and the size of every run's network."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a table and a column; what is there stays as it is."""
    op.create_table(
        "search_benchmarks",
        sa.Column("benchmark_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("data_source", sa.String(64), nullable=False),
        sa.Column("data_fingerprint", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("reference", sa.String(255), nullable=False),
        sa.Column("n_seeds", sa.Integer, nullable=False),
        sa.Column("configs", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("benchmark_id", name="pk_search_benchmarks"),
        sa.UniqueConstraint(
            "name", "data_fingerprint", name="uq_search_benchmarks_name_data_fingerprint"
        ),
    )
    op.add_column("search_runs", sa.Column("n_parameters", sa.Integer))
