"""Figures and pages over a study store: reads `storage`, trains nothing."""

import runpy
from pathlib import Path

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space", "storage")},
)
