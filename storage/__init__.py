"""The SQL study store: Optuna's tables and ours in one database, the single source of truth."""

import runpy
from pathlib import Path

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space",)},
)

from storage.connect.engine import DEFAULT_URL
from storage.store import Store, open_store
from storage.tables.records import (
    BenchmarkConfig,
    BenchmarkRecord,
    LaunchRecord,
    NewLaunch,
    NewRun,
    NewStudy,
    Registration,
    ResultRecord,
    RunEpoch,
    RunRecord,
    StudyRecord,
    TrialStep,
)

__all__ = [
    "DEFAULT_URL",
    "BenchmarkConfig",
    "BenchmarkRecord",
    "LaunchRecord",
    "NewLaunch",
    "NewRun",
    "NewStudy",
    "Registration",
    "ResultRecord",
    "RunEpoch",
    "RunRecord",
    "Store",
    "StudyRecord",
    "TrialStep",
    "open_store",
]
