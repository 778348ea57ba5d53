"""What a user's file imports: all from one place, typed, and PyTorch only where it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import trainables

ROOT = Path(__file__).parents[3]
OF_TORCH = {"Batch", "Split", "Task"}


def test_every_public_name_is_there() -> None:
    assert len(trainables.__all__) > 5
    for name in trainables.__all__:
        assert getattr(trainables, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Tusk'"):
        _ = trainables.Tusk


def test_only_a_task_loads_pytorch() -> None:
    code = "import sys, trainables\n" + "".join(
        f"trainables.{name}; print('torch' in sys.modules)\n"
        for name in sorted(trainables.__all__, key=lambda name: name in OF_TORCH)
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    n_without = len(set(trainables.__all__) - OF_TORCH)
    assert done.stdout.split() == ["False"] * n_without + ["True"] * len(OF_TORCH)


def test_a_users_file_is_typed() -> None:
    pytest.importorskip("mypy", reason="mypy comes with the extra dev alone")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--config-file", str(ROOT / "setup.cfg"), "--disable-error-code", "import-untyped"),
            "tests/trainables/own_loop.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)
