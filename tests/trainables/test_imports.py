"""What importing this package may bring along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import importlib, pkgutil, sys, trainables
modules = [m.name for m in pkgutil.walk_packages(trainables.__path__, "trainables.")]
ours = ("trainables.shipped.digit_pairs", "trainables.shipped.closed_form")
for name in modules:
    # Examples are written as a user would, who imports at a file's head what it needs.
    is_example = name.startswith("trainables.shipped.") and not name.startswith(ours)
    if name != "trainables.worker.ray_trainable" and not is_example:
        importlib.import_module(name)
print(len(modules), *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_training_needs_no_ray_no_optuna_and_no_sql() -> None:
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    n_modules, *imported = child.stdout.split()
    assert int(n_modules) > 20
    assert {"torch", "pydantic", "trainables", "space"} <= set(imported)
    refused = {"ray", "optuna", "sqlalchemy", "alembic", "plotly", "search", "storage"}
    assert not refused & set(imported)
    # Slow to import, and needed only where a source is loaded.
    assert not {"torchvision", "sklearn"} & set(imported)
