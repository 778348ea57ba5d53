"""The first schema: studies, launches, runs, epochs and results."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "search_studies",
        sa.Column("study_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("identity", sa.JSON, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("data_source", sa.String(64), nullable=False),
        sa.Column("data_fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("study_id", name="pk_search_studies"),
    )
    op.create_table(
        "search_launches",
        sa.Column("launch_id", sa.Integer, nullable=False),
        sa.Column("study_id", sa.Integer),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("heartbeat_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("changes", sa.JSON, nullable=False),
        sa.Column("git_commit", sa.String(64)),
        sa.Column("git_dirty", sa.Boolean),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("hardware", sa.JSON, nullable=False),
        sa.Column("data_source", sa.String(64), nullable=False),
        sa.Column("data_fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("launch_id", name="pk_search_launches"),
    )
    op.create_index("ix_search_launches_study_id", "search_launches", ["study_id"])
    op.create_table(
        "search_runs",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("launch_id", sa.Integer, nullable=False),
        sa.Column("study_id", sa.Integer),
        sa.Column("trial_id", sa.Integer),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("replicate", sa.Integer, nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("worker", sa.String(255)),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("n_epochs", sa.Integer, nullable=False),
        sa.Column("best_epoch", sa.Integer),
        sa.Column("train_seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_search_runs"),
        sa.UniqueConstraint(
            "trial_id", "purpose", "replicate", name="uq_search_runs_trial_id_purpose_replicate"
        ),
    )
    op.create_index("ix_search_runs_launch_id", "search_runs", ["launch_id"])
    op.create_index("ix_search_runs_study_id", "search_runs", ["study_id"])
    op.create_index("ix_search_runs_config_hash", "search_runs", ["config_hash"])
    op.create_table(
        "search_epochs",
        sa.Column("run_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("launch_id", sa.Integer, nullable=False),
        sa.Column("train_loss", sa.Float),
        sa.Column("val_loss", sa.Float),
        sa.Column("train_error", sa.Float),
        sa.Column("val_error", sa.Float),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("reported_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "epoch", name="pk_search_epochs"),
    )
    op.create_table(
        "search_results",
        sa.Column("run_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("train_error", sa.Float, nullable=False),
        sa.Column("val_error", sa.Float, nullable=False),
        sa.Column("test_error", sa.Float, nullable=False),
        sa.Column("train_loss", sa.Float, nullable=False),
        sa.Column("val_loss", sa.Float, nullable=False),
        sa.Column("test_loss", sa.Float, nullable=False),
        sa.Column("data_fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_search_results"),
    )
