"""Where a run computes, and the settings of that device."""

from __future__ import annotations

import os
from typing import Literal

import torch

from space.config import TrainingConfig
from space.errors import TrainingError

__all__ = ["check_device", "computes_in_bfloat16", "pick_device", "prepare_device"]


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


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16; others would only emulate it, slowly.

    Args:
        device: The device, of this machine.

    Returns:
        True for a GPU, and for a CPU with AVX512_BF16 or AMX.
    """
    if device.type == "cuda":
        return True
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def check_device(training: TrainingConfig, device: torch.device) -> None:
    """Refuses settings that a device cannot honour.

    Args:
        training: The training config.
        device: Where the run would compute.

    Raises:
        TrainingError: If the config asks a CPU for TF32, or for a bfloat16 that it has not.
    """
    if device.type == "cuda":
        return
    if training.tf32:
        raise TrainingError(
            f"training.tf32: true needs a GPU, but the run would be on the {device.type}: "
            "set training.tf32: false"
        )
    if training.precision == "bfloat16" and not computes_in_bfloat16(device):
        raise TrainingError(
            "training.precision: bfloat16 needs a GPU or a CPU with AVX512_BF16 or AMX, and this "
            f"{device.type} has neither: set training.precision: float32"
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
    # Nothing here reads memory that it did not write, so none has to be filled to be repeatable.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    precision = "tf32" if training.tf32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
