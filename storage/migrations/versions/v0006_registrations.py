"""What was registered of a benchmark, and every look at a test split."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a column and a table: the benchmarks that are there were not registered, their runs are
    looks."""
    connection = op.get_bind()
    op.add_column("search_benchmarks", sa.Column("registrations", sa.JSON))
    benchmarks = sa.table("search_benchmarks", sa.column("registrations", sa.JSON))
    connection.execute(sa.update(benchmarks).values(registrations=[]))
    with op.batch_alter_table("search_benchmarks") as batch:
        batch.alter_column("registrations", existing_type=sa.JSON, nullable=False)
    op.create_table(
        "search_looks",
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("data_fingerprint", sa.String(64), nullable=False),
        sa.Column("looked_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_search_looks"),
    )
    op.create_index("ix_search_looks_data_fingerprint", "search_looks", ["data_fingerprint"])
    connection.execute(
        sa.text(
            "INSERT INTO search_looks (uid, config_hash, data_fingerprint, looked_at) "
            "SELECT n.uid, n.config_hash, r.data_fingerprint, COALESCE(n.ended_at, n.started_at) "
            "FROM search_results r JOIN search_runs n ON n.run_id = r.run_id"
        )
    )
