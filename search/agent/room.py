"""What an agent gives away: CPUs and GPUs, of this machine or of what it hands jobs to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from search.runs.provenance import gpu_names

__all__ = ["ALL", "Room", "this_machine"]


@dataclass(frozen=True, kw_only=True)
class Room:
    """What an agent gives away.

    Attributes:
        cpus: CPUs.
        gpus: GPUs, as CUDA_VISIBLE_DEVICES names them.
    """

    cpus: float
    gpus: tuple[str, ...]


ALL = Room(cpus=10**6, gpus=tuple(map(str, range(1000))))
"""As much as anybody asks for: it is for Slurm to say what there is."""


def this_machine(cpus: int | None, gpus: Sequence[str] | None) -> Room:
    """This machine as far as this process may use it, or what options say of it."""
    if gpus is None:
        n_gpus = len(gpu_names())
        visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        gpus = (visible or [str(number) for number in range(n_gpus)])[:n_gpus]
    return Room(cpus=cpus or len(os.sched_getaffinity(0)), gpus=tuple(gpus))
