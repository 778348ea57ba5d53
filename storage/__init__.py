"""The SQL study store: Optuna's tables and ours in one database, the single source of truth."""

from storage.engine import DEFAULT_URL
from storage.records import EpochRecord, LaunchRecord, NewLaunch, RunRecord, StudyRecord
from storage.store import Store, open_store

__all__ = [
    "DEFAULT_URL",
    "EpochRecord",
    "LaunchRecord",
    "NewLaunch",
    "RunRecord",
    "Store",
    "StudyRecord",
    "open_store",
]
