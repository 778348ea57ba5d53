"""The commands: search, confirm, export, benchmark; and the ledger between Optuna and Ray."""

import runpy
from pathlib import Path

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space", "trainables", "storage", "dashboards")},
)
