"""Metrics of any kind, a row each; and every run and epoch names a launch that is there.

Studies and benchmarks say what is measured of their runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from storage.tables.ownership import drop_triggers, make_triggers, restore_launches

revision = "0004"
down_revision = "0003"

_EPOCH = ("train_loss", "val_loss", "train_error", "val_error")
_RESULT = ("train_error", "val_error", "test_error", "train_loss", "val_loss", "test_loss")

_MEASURED = {
    "metrics": [
        {"name": f"{split}_{name}", "words": f"{words} {name}", "unit": unit, "maximize": False}
        for name, unit in (("error", "fraction of pairs"), ("loss", "nats"))
        for split, words in (("train", "train"), ("val", "validation"), ("test", "test"))
    ],
    "kept_by": ["val_error", "val_loss"],
}
"""What was measured of every run until now."""

_KEYS = {
    "search_epochs": ("search_epoch_metrics", ("run_id", "epoch"), _EPOCH),
    "search_results": ("search_result_metrics", ("run_id",), _RESULT),
}
"""Table -> where its metrics go, its key, their columns."""


_LAUNCHED = {
    "search_runs": {"sqlite_autoincrement": True},
    "search_epochs": {"sqlite_with_rowid": False},
}
"""What names a launch, and what tells how SQLite keeps the table."""


def upgrade() -> None:
    """Carry the columns of metrics over into rows."""
    connection = op.get_bind()
    drop_triggers(connection)
    op.create_table(
        "search_epoch_metrics",
        sa.Column("run_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.Float),
        sa.PrimaryKeyConstraint("run_id", "epoch", "name", name="pk_search_epoch_metrics"),
        sa.ForeignKeyConstraint(
            ["run_id", "epoch"],
            ["search_epochs.run_id", "search_epochs.epoch"],
            name="fk_search_epoch_metrics_run_id_epoch",
            ondelete="CASCADE",
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_result_metrics",
        sa.Column("run_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.Float),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_search_result_metrics"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["search_results.run_id"],
            name="fk_search_result_metrics_run_id",
            ondelete="CASCADE",
        ),
        sqlite_with_rowid=False,
    )
    for table, (target, key, names) in _KEYS.items():
        _to_rows(connection, table, target, key, names)
    restore_launches(connection)
    for table, options in _LAUNCHED.items():
        with op.batch_alter_table(table, table_kwargs=options) as batch:
            batch.create_foreign_key(
                f"fk_{table}_launch_id", "search_launches", ["launch_id"], ["launch_id"]
            )
    for table in ("search_studies", "search_benchmarks"):
        op.add_column(table, sa.Column("measured", sa.JSON))
        measured = sa.table(table, sa.column("measured", sa.JSON))
        connection.execute(sa.update(measured).values(measured=_MEASURED))
        with op.batch_alter_table(table) as batch:
            batch.alter_column("measured", existing_type=sa.JSON, nullable=False)
    _make_view(connection)
    make_triggers(connection)


def _to_rows(
    connection: sa.Connection, table: str, target: str, key: Sequence[str], names: Sequence[str]
) -> None:
    """Turn columns into rows, written in the order of their key, and drop the columns."""
    source = sa.table(table, *map(sa.column, (*key, *names)))
    each = [
        sa.select(
            *(source.c[column] for column in key),
            sa.literal_column(f"'{name}'").label("name"),
            source.c[name].label("value"),
        )
        for name in names
    ]
    columns = [*key, "name", "value"]
    rows = sa.union_all(*each).order_by(*columns[:-1])
    into = sa.table(target, *map(sa.column, columns))
    connection.execute(sa.insert(into).from_select(columns, rows))
    without = {"sqlite_with_rowid": False} if len(key) > 1 else {}
    with op.batch_alter_table(table, table_kwargs=without) as batch:
        for name in names:
            batch.drop_column(name)


def _make_view(connection: sa.Connection) -> None:
    """An epoch's metrics side by side, as they lay in its row until now."""
    keys = ("run_id", "epoch", "launch_id", "seconds", "reported_at")
    epochs = sa.table("search_epochs", *map(sa.column, keys))
    columns = ("run_id", "epoch", "name", "value")
    metrics = sa.table("search_epoch_metrics", *map(sa.column, columns))
    values = [
        sa.select(metrics.c.value)
        .where(
            metrics.c.run_id == epochs.c.run_id,
            metrics.c.epoch == epochs.c.epoch,
            metrics.c.name == sa.literal_column(f"'{name}'"),
        )
        .scalar_subquery()
        .label(name)
        for name in _EPOCH
    ]
    own = [epochs.c[key] for key in keys]
    query = sa.select(*own[:3], *values, *own[3:])
    text = query.compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"CREATE VIEW search_curves AS {text}")
