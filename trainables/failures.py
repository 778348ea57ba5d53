"""What ends one run without being anyone's mistake.

TrialFailure
├── NonFiniteLossError    a metric of an epoch is infinite or not a number
├── OutOfMemoryFailure    the device has too little memory for the run
└── MemberFailure         an error in a process of a team that trained it

A study goes on after these. Each survives a journey between processes by pickle. A `LostTeamError`
ends the worker, and with another its runs go on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from space.epochs import Epoch

__all__ = [
    "LONGEST_REASON",
    "LostTeamError",
    "MemberFailure",
    "NonFiniteLossError",
    "OutOfMemoryFailure",
    "TrialFailure",
    "first_line",
    "is_device_lost",
    "out_of_memory_translated",
]

LONGEST_REASON = 500
"""Characters of a failure's reason; the rest says nothing that the beginning does not."""

_CPU_ALLOCATOR = "DefaultCPUAllocator"
"""What names torch's allocator in a plain RuntimeError, after a place in its source code."""


_OF_LIBRARIES = ("CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""What CUDA, and cuBLAS and its kin, say where it is not torch's allocator that asks for memory."""


class TrialFailure(Exception):  # noqa: N818 - an end that a study expects, no error
    """A run cannot go on; its text says why. The run is over: its state is not to be used.

    Attributes:
        told: Of an error in a user's code, the part of its traceback that the user is to see.
    """

    told: str | None = None


class NonFiniteLossError(TrialFailure):
    """A metric of an epoch, most often the loss, is infinite or not a number."""

    def __init__(self, metrics: Epoch) -> None:
        """
        Args:
            metrics: The epoch's numbers.
        """
        super().__init__(metrics)
        self.metrics = metrics

    def __str__(self) -> str:
        found = self.metrics.metrics
        shown = [name for name in ("train_loss", "val_loss") if name in found]
        what = "the loss" if any(not math.isfinite(found[name]) for name in shown) else "a metric"
        if what != "the loss":
            shown = [name for name, value in found.items() if not math.isfinite(value)]
        values = ", ".join(f"{name} {found[name]:g}" for name in shown)
        return f"{what} is not finite in epoch {self.metrics.epoch} ({values})"


class OutOfMemoryFailure(TrialFailure):
    """The device has too little memory for the run."""


class MemberFailure(TrialFailure):
    """An error in one of the processes that trained the run together."""

    def __init__(self, reason: str, told: str) -> None:
        """
        Args:
            reason: What went wrong.
            told: See `TrialFailure`.
        """
        super().__init__(reason, told)
        self.told = told

    def __str__(self) -> str:
        return str(self.args[0])


class LostTeamError(Exception):
    """Processes that train a run together are no more, or wait for one that failed: all end."""


@contextmanager
def out_of_memory_translated(model_name: str) -> Iterator[None]:
    """Turns the errors for exhausted memory, a GPU's or the machine's, into `OutOfMemoryFailure`.

    Args:
        model_name: The network that the memory is for.

    Yields:
        Nothing.

    Raises:
        OutOfMemoryFailure: If the body runs out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError.
        said = str(error).partition("\n")[0]
        on_cpu = said.partition(_CPU_ALLOCATOR)[2]
        torch = sys.modules.get("torch")  # A run without PyTorch meets none of its errors.
        on_gpu = torch is not None and (
            isinstance(error, torch.OutOfMemoryError) or any(each in said for each in _OF_LIBRARIES)
        )
        if not (on_cpu or on_gpu or isinstance(error, MemoryError)):
            raise
        reason = on_cpu.strip(": ") or said or "the machine has no more"
        raise OutOfMemoryFailure(f"'{model_name}' ran out of memory: {reason}") from error


def is_device_lost() -> bool:
    """Whether this process can use its GPU no more, after whatever went wrong.

    An error of a GPU that outlives what met it comes again with whatever is asked of it next.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def first_line(text: str) -> str:
    """What a library says first, without the instructions that may follow."""
    return text.partition("\n")[0][:LONGEST_REASON]
