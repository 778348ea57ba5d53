"""Data, models, losses and the training loop: plain PyTorch, without Ray, Optuna or SQL."""

import runpy
from pathlib import Path

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space",)},
)
