"""Our tables, beside Optuna's in the same database.

Optuna's own tables are the truth about trials: numbers, states, parameters, objective values and
the reports that its pruners judge. These tables hold what Optuna's do not. They refer to its rows
by number, and databases hand out a number again once its row is gone; so the database itself
deletes our rows together with the study or the trial that they belong to, whichever program deletes
that: PostgreSQL by its foreign keys, SQLite by the triggers of `tables.ownership`. Numbers of
launches and runs are never handed out again.

    search_studies         what a study is about: the terms that all its launches share
    search_launches        one row a launch of a command: who, when, with which config, code, data,
                           and, by its heartbeats, what it does (`course`); what people
                           were told of its end (`told`); and the number of the trial that
                           it took up last (`last_trial`)
    search_runs            one row a training run: its full config, where and how it went
    search_epochs          one row an epoch of a run: when, by which launch
    search_epoch_metrics   one row a metric of an epoch
    search_results         one row a benchmark run that reached its end; no search has one
    search_result_metrics  one row a metric of the state that such a run kept, those on the test
                           split among them
    search_benchmarks      one row a benchmark and data set: its configs, in their table's order,
                           and what was registered of it before a test sample was read
    search_looks           one row a look: a run that was evaluated on a test split, and when; it
                           stays when the run is deleted, as what was seen stays seen
    search_submissions     one row a submission: a launch or benchmark that waits for an agent, is
                           in the hands of one, or has ended
    search_actions         one row an action: what somebody asked of the service, and what became
                           of it; it stays when what it was about is deleted
    search_tokens          one row a token of the HTTP API: what it may do, until when, its hash
    search_asks            one row a trial that was given to a client of the API, as long as its
                           launch lasts

Studies and benchmarks say what is `measured` of their runs: names, words, units, directions, and
which epoch's state a run keeps, that of `best_epoch`. Under the other selection, by loss instead of
by metric or the other way round (`training.selection`), it were that of `other_epoch`, whose
metrics a benchmark run has as `other_value`. The view `search_curves` has losses and errors side by
side, an epoch a row. Times are UTC. A metric that is not finite is stored as NULL.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

import sqlalchemy as sa

from space.metrics import Measured
from storage.tables.optuna_models import STUDIES, TRIALS

__all__ = [
    "actions",
    "asks",
    "benchmarks",
    "epoch_metrics",
    "epochs",
    "launches",
    "looks",
    "metadata",
    "result_metrics",
    "results",
    "runs",
    "studies",
    "submissions",
    "tokens",
    "utc_now",
]


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class UtcDateTime(sa.TypeDecorator[datetime.datetime]):
    """A point in time; UTC in the database, timezone-aware in Python."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Any) -> Any:
        """Aware time -> naive UTC."""
        return None if value is None else value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Any) -> datetime.datetime | None:
        """Naive UTC -> aware time."""
        return None if value is None else value.replace(tzinfo=datetime.UTC)


class PlainText(sa.TypeDecorator[str]):
    """Text that every database can hold, cut to the column's length.

    PostgreSQL refuses NUL and what is no character (a file name's odd bytes, say), and refuses text
    that is too long where SQLite keeps all of it.
    """

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Replace what cannot be stored by U+FFFD."""
        if value is None:
            return None
        length: int | None = getattr(self.impl_instance, "length", None)
        return _UNSTORABLE.sub("\ufffd", value)[:length]


class LongText(PlainText):
    """The same without a bound on its length."""

    impl = sa.Text
    cache_ok = True


class MeasuredJson(sa.TypeDecorator[Measured]):
    """What is measured of some runs; JSON in the database."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Measured | None, dialect: Any) -> Any:
        """To plain types."""
        return None if value is None else value.as_json()

    def process_result_value(self, value: Any, dialect: Any) -> Measured | None:
        """From plain types."""
        return None if value is None else Measured.of_json(value)


def utc_now() -> datetime.datetime:
    """The time, timezone-aware."""
    return datetime.datetime.now(datetime.UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _goes_with(column: Any) -> sa.ForeignKey:
    """A row that is deleted together with the one it names."""
    return sa.ForeignKey(column, ondelete="CASCADE")


_STUDY = STUDIES.c.study_id
_TRIAL = TRIALS.c.trial_id

studies = sa.Table(
    "search_studies",
    metadata,
    sa.Column("study_id", sa.Integer, _goes_with(_STUDY), primary_key=True, autoincrement=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("identity", sa.JSON, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("data_source", PlainText(64), nullable=False),
    sa.Column("data_fingerprint", PlainText(64), nullable=False),
    sa.Column("measured", MeasuredJson, nullable=False),
)

launches = sa.Table(
    "search_launches",
    metadata,
    sa.Column("launch_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, _goes_with(_STUDY), index=True),
    sa.Column("status", PlainText(32), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("heartbeat_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("host", PlainText(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("command", LongText, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("changes", sa.JSON, nullable=False),
    sa.Column("git_commit", PlainText(64)),
    sa.Column("git_dirty", sa.Boolean),
    sa.Column("versions", sa.JSON, nullable=False),
    sa.Column("hardware", sa.JSON, nullable=False),
    sa.Column("data_source", PlainText(64), nullable=False),
    sa.Column("data_fingerprint", PlainText(64), nullable=False),
    sa.Column("process", PlainText(128)),
    sa.Column("course", sa.JSON(none_as_null=True)),
    sa.Column("told", LongText),
    sa.Column("last_trial", sa.Integer),
    sqlite_autoincrement=True,
)

runs = sa.Table(
    "search_runs",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True),
    sa.Column("uid", PlainText(32), nullable=False),
    sa.Column(
        "launch_id", sa.Integer, sa.ForeignKey(launches.c.launch_id), nullable=False, index=True
    ),
    sa.Column("study_id", sa.Integer, _goes_with(_STUDY), index=True),
    sa.Column("trial_id", sa.Integer, _goes_with(_TRIAL)),
    sa.Column("purpose", PlainText(16), nullable=False),
    sa.Column("replicate", sa.Integer, nullable=False),
    sa.Column("config_hash", PlainText(64), nullable=False, index=True),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("state", PlainText(16), nullable=False),
    sa.Column("reason", LongText),
    sa.Column("worker", PlainText(255)),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("n_epochs", sa.Integer, nullable=False),
    sa.Column("best_epoch", sa.Integer),
    sa.Column("train_seconds", sa.Float, nullable=False),
    sa.Column("n_parameters", sa.Integer),
    sa.Column("traceback", LongText),
    sa.Column("other_epoch", sa.Integer),
    sa.UniqueConstraint("trial_id", "purpose", "replicate"),
    sqlite_autoincrement=True,
)

results = sa.Table(
    "search_results",
    metadata,
    sa.Column(
        "run_id", sa.Integer, _goes_with(runs.c.run_id), primary_key=True, autoincrement=False
    ),
    sa.Column("data_fingerprint", PlainText(64), nullable=False),
)

result_metrics = sa.Table(
    "search_result_metrics",
    metadata,
    sa.Column(
        "run_id", sa.Integer, _goes_with(results.c.run_id), primary_key=True, autoincrement=False
    ),
    sa.Column("name", PlainText(255), primary_key=True),
    sa.Column("value", sa.Float),
    sa.Column("other_value", sa.Float),
    sqlite_with_rowid=False,
)

looks = sa.Table(
    "search_looks",
    metadata,
    sa.Column("uid", PlainText(32), primary_key=True),
    sa.Column("config_hash", PlainText(64), nullable=False),
    sa.Column("data_fingerprint", PlainText(64), nullable=False, index=True),
    sa.Column("looked_at", UtcDateTime, nullable=False),
)

epochs = sa.Table(
    "search_epochs",
    metadata,
    sa.Column(
        "run_id", sa.Integer, _goes_with(runs.c.run_id), primary_key=True, autoincrement=False
    ),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("launch_id", sa.Integer, sa.ForeignKey(launches.c.launch_id), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("reported_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

epoch_metrics = sa.Table(
    "search_epoch_metrics",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", PlainText(255), primary_key=True),
    sa.Column("value", sa.Float),
    sa.ForeignKeyConstraint(
        ["run_id", "epoch"], [epochs.c.run_id, epochs.c.epoch], ondelete="CASCADE"
    ),
    sqlite_with_rowid=False,
)

benchmarks = sa.Table(
    "search_benchmarks",
    metadata,
    sa.Column("benchmark_id", sa.Integer, primary_key=True),
    sa.Column("name", PlainText(255), nullable=False),
    sa.Column("data_source", PlainText(64), nullable=False),
    sa.Column("data_fingerprint", PlainText(64), nullable=False),
    sa.Column("title", LongText, nullable=False),
    sa.Column("reference", PlainText(255), nullable=False),
    sa.Column("n_seeds", sa.Integer, nullable=False),
    sa.Column("configs", sa.JSON, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("measured", MeasuredJson, nullable=False),
    sa.Column("registrations", sa.JSON, nullable=False),
    sa.UniqueConstraint("name", "data_fingerprint"),
)

submissions = sa.Table(
    "search_submissions",
    metadata,
    sa.Column("submission_id", sa.Integer, primary_key=True),
    sa.Column("uid", PlainText(32), nullable=False, unique=True),
    sa.Column("submitted_at", UtcDateTime, nullable=False),
    sa.Column("submitted_by", PlainText(255), nullable=False),
    sa.Column("name", PlainText(255), nullable=False),
    sa.Column("command", PlainText(16), nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("cpus", sa.Float, nullable=False),
    sa.Column("gpus", sa.Float, nullable=False),
    sa.Column("state", PlainText(16), nullable=False, index=True),
    sa.Column("reason", LongText),
    sa.Column("hold", PlainText(32)),
    sa.Column("host", PlainText(255)),
    sa.Column("pid", sa.Integer),
    sa.Column("process", PlainText(128)),
    sa.Column("heartbeat_at", UtcDateTime),
    sa.Column("launch_id", sa.Integer),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)

actions = sa.Table(
    "search_actions",
    metadata,
    sa.Column("action_id", sa.Integer, primary_key=True),
    sa.Column("uid", PlainText(32), nullable=False, unique=True),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("asked_by", PlainText(255), nullable=False),
    sa.Column("verb", PlainText(32), nullable=False),
    sa.Column("study", PlainText(512), index=True),
    sa.Column("launch_id", sa.Integer, index=True),
    sa.Column("trial_number", sa.Integer),
    sa.Column("submission_id", sa.Integer, index=True),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("state", PlainText(16), nullable=False, index=True),
    sa.Column("answer", LongText),
    sa.Column("answered_at", UtcDateTime),
    sqlite_autoincrement=True,
)

tokens = sa.Table(
    "search_tokens",
    metadata,
    sa.Column("name", PlainText(64), primary_key=True),
    sa.Column("role", PlainText(16), nullable=False),
    sa.Column("hash", PlainText(64), nullable=False, unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", PlainText(255), nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
)

asks = sa.Table(
    "search_asks",
    metadata,
    sa.Column("launch_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", PlainText(64), primary_key=True),
    sa.Column("trial_number", sa.Integer, nullable=False),
)
