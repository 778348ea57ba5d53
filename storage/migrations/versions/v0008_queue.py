"""The service's queue, and what is asked of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the tables, empty."""
    op.create_table(
        "search_submissions",
        sa.Column("submission_id", sa.Integer, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("submitted_at", sa.DateTime, nullable=False),
        sa.Column("submitted_by", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("command", sa.String(16), nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("cpus", sa.Float, nullable=False),
        sa.Column("gpus", sa.Float, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("hold", sa.String(32)),
        sa.Column("host", sa.String(255)),
        sa.Column("pid", sa.Integer),
        sa.Column("process", sa.String(128)),
        sa.Column("heartbeat_at", sa.DateTime),
        sa.Column("launch_id", sa.Integer),
        sa.Column("started_at", sa.DateTime),
        sa.Column("ended_at", sa.DateTime),
        sa.PrimaryKeyConstraint("submission_id", name="pk_search_submissions"),
        sa.UniqueConstraint("uid", name="uq_search_submissions_uid"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "search_actions",
        sa.Column("action_id", sa.Integer, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("asked_at", sa.DateTime, nullable=False),
        sa.Column("asked_by", sa.String(255), nullable=False),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("study", sa.String(512)),
        sa.Column("launch_id", sa.Integer),
        sa.Column("trial_number", sa.Integer),
        sa.Column("submission_id", sa.Integer),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("answered_at", sa.DateTime),
        sa.PrimaryKeyConstraint("action_id", name="pk_search_actions"),
        sa.UniqueConstraint("uid", name="uq_search_actions_uid"),
        sqlite_autoincrement=True,
    )
    for table, names in (
        ("search_submissions", ("state",)),
        ("search_actions", ("study", "launch_id", "submission_id", "state")),
    ):
        for name in names:
            op.create_index(f"ix_{table}_{name}", table, [name])
