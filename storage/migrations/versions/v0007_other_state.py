"""The state that a run would keep under the other selection: its epoch and its metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add columns. The epochs say which one has the lowest loss; what its state gives on the test
    split nobody measured."""
    op.add_column("search_runs", sa.Column("other_epoch", sa.Integer))
    op.add_column("search_result_metrics", sa.Column("other_value", sa.Float))
    runs = sa.table("search_runs", sa.column("run_id"), sa.column("other_epoch"))
    columns = ("run_id", "epoch", "name", "value")
    metrics = sa.table("search_epoch_metrics", *map(sa.column, columns)).c
    lowest = (
        sa.select(metrics.epoch)
        .where(
            metrics.run_id == runs.c.run_id,
            metrics.name == "val_loss",
            metrics.value.is_not(None),
        )
        .order_by(metrics.value, metrics.epoch)
        .limit(1)
        .scalar_subquery()
    )
    op.get_bind().execute(sa.update(runs).values(other_epoch=lowest))
