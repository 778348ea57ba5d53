"""The SQL study store: Optuna's tables and ours in one database, the single source of truth."""

import importlib
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space",)},
)

if TYPE_CHECKING:
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

DEFAULT_URL = "sqlite:///results/search.db"

_OF_STORE = ("Store", "open_store")


def __getattr__(name: str) -> Any:
    """The names of `__all__`, each loaded when it is asked for (PEP 562): Optuna takes a second."""
    if name not in __all__:
        raise AttributeError(f"module 'storage' has no attribute {name!r}")
    where = "storage.store" if name in _OF_STORE else "storage.tables.records"
    return getattr(importlib.import_module(where), name)
