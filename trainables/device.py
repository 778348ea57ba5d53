"""Where a run computes, and the settings of that device."""

from __future__ import annotations

import gc
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from space.config import TrainingConfig
from space.errors import TrainingError

__all__ = [
    "check_device",
    "check_gpu_is_seen",
    "computes_in_bfloat16",
    "device_settings",
    "free_memory",
    "pick_device",
]


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


def check_gpu_is_seen() -> None:
    """Refuses to train on the CPU where a GPU was set aside for it.

    Raises:
        TrainingError: If PyTorch sees no GPU.
    """
    if not torch.cuda.is_available():
        raise TrainingError(
            f"resources.gpus: Ray gave the worker on {socket.gethostname()} a GPU, but torch "
            f"{torch.__version__} sees none that it can use there; install a torch built for its "
            "driver, or set resources.gpus: 0 to train on CPUs"
        )


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


@contextmanager
def device_settings(training: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Makes a GPU compute the same numbers every time, in the precision that the config names.

    The settings are the process's, and afterwards as they were, but for an environment variable
    that cuBLAS reads once. On a CPU nothing is changed.

    Args:
        training: The training config.
        device: Where the run computes.

    Yields:
        Nothing.
    """
    if device.type != "cuda":
        yield
        return
    # cuBLAS reads this when its first handle is made; without it, its results may differ.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = "tf32" if training.tf32 else "ieee"
    # Nothing here reads memory that it did not write, so none has to be filled to be repeatable.
    wanted: list[tuple[Any, str, Any]] = [
        (torch.utils.deterministic, "fill_uninitialized_memory", False),
        (torch.backends.cudnn, "deterministic", True),
        (torch.backends.cudnn, "benchmark", False),
        (torch.backends.cuda.matmul, "fp32_precision", precision),
        (torch.backends.cudnn.conv, "fp32_precision", precision),  # type: ignore[attr-defined]
    ]
    before = [(where, name, getattr(where, name)) for where, name, _ in wanted]
    was_strict = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        for where, name, value in wanted:
            setattr(where, name, value)
        torch.use_deterministic_algorithms(True, warn_only=True)
        with warnings.catch_warnings():
            # torch cannot know that the windows of a pooling do not overlap.
            warnings.filterwarnings("ignore", message="max_pool2d_with_indices_backward_cuda")
            yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)
        torch.use_deterministic_algorithms(was_strict, warn_only=only_warned)


def free_memory() -> None:
    """Gives back the memory of a GPU that nothing needs any more."""
    gc.collect()  # Captured work and what it is part of know of each other.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
