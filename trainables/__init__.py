"""What can be trained, and how. Whoever brings something of their own finds here all they need:

    from trainables import Loop, Metric, Options, Task

Loading this loads none of it, and PyTorch only with `Task`, which is a network's.
"""

import importlib
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space",)},
)

if TYPE_CHECKING:
    from space.config import Options
    from space.errors import DataError
    from space.metrics import Metric
    from trainables.contract.function import FunctionRun, measures
    from trainables.contract.loop import Loop, RunInfo
    from trainables.contract.split_data import Batch, Split
    from trainables.contract.stacked import STACKED
    from trainables.contract.task import Task
    from trainables.worker.weights import load_weights

__all__ = [
    "STACKED",
    "Batch",
    "DataError",
    "FunctionRun",
    "Loop",
    "Metric",
    "Options",
    "RunInfo",
    "Split",
    "Task",
    "load_weights",
    "measures",
]

_WHERE = {
    "STACKED": "trainables.contract.stacked",
    "Batch": "trainables.contract.split_data",
    "DataError": "space.errors",
    "FunctionRun": "trainables.contract.function",
    "Loop": "trainables.contract.loop",
    "Metric": "space.metrics",
    "Options": "space.config",
    "RunInfo": "trainables.contract.loop",
    "Split": "trainables.contract.split_data",
    "Task": "trainables.contract.task",
    "load_weights": "trainables.worker.weights",
    "measures": "trainables.contract.function",
}


def __getattr__(name: str) -> Any:
    """The names of `__all__`, each loaded when it is asked for (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module 'trainables' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
