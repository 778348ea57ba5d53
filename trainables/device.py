"""Where a run computes, and the settings of that device."""

from __future__ import annotations

import os
from typing import Literal

import torch

from space.config import TrainingConfig
from space.errors import TrainingError

__all__ = ["check_device", "pick_device", "prepare_device"]


def pick_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device that a config means in this process.

    Args:
        name: The config's ``training.device``.

    Returns:
        The device; for ``auto`` the GPU where there is one.

    Raises:
        TrainingError: If a GPU is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "training.device is cuda, but this process sees no GPU that torch "
            f"{torch.__version__} can use: set training.device: auto, or give the run a GPU"
        )
    return torch.device(name)


def check_device(training: TrainingConfig, device: torch.device) -> None:
    """Refuses settings that a device cannot honour.

    Args:
        training: The training config.
        device: Where the run would compute.

    Raises:
        TrainingError: If the config asks a CPU for bfloat16 or TF32.
    """
    if device.type == "cuda":
        return
    for asked, setting, mended in (
        (training.precision == "bfloat16", "precision: bfloat16", "precision: float32"),
        (training.tf32, "tf32: true", "tf32: false"),
    ):
        if asked:
            raise TrainingError(
                f"training.{setting} needs a GPU, but the run would be on the {device.type}: "
                f"set training.{mended}"
            )


def prepare_device(training: TrainingConfig, device: torch.device) -> None:
    """Makes a GPU compute the same numbers every time, in the precision that the config names.

    The settings are the process's; a run applies them before each epoch, as another run with other
    settings may have computed in between. On a CPU nothing is changed.

    Args:
        training: The training config.
        device: Where the run computes.
    """
    if device.type != "cuda":
        return
    # cuBLAS reads this when its first handle is made; without it, its results may differ.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Only a warning: the operators of the networks here are deterministic, yet torch cannot know
    # that the windows of a pooling do not overlap.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    precision = "tf32" if training.tf32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
