"""Work on tensors that stay where they are in memory, repeated as one CUDA graph."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trainables.failures import first_line
from trainables.loop.traced import copies_of, layout_of

__all__ = ["Capture", "CapturedWork", "CudaGraphs"]

_log = logging.getLogger(__name__)

Work = Callable[..., object]
Capture = Callable[[Callable[[], object]], Callable[[], None]]
"""Takes work without doing it; gives what does it, as often as it is called."""

_Doubt = tuple[str, str]
"""What is wrong with a recording, and how that shows."""

TOLERANCE = 0.3
"""By how much a graph's changes may differ from those of the work, as a share of them.

Other algorithms round otherwise, and Adam makes whole steps of the smallest gradients; a graph that
reads or writes the wrong memory is off by about all of it."""

_SLOWER = "so its operators are asked for one by one, which is slower"


class CudaGraphs:
    """Records work on the current GPU as CUDA graphs that share one pool of memory.

    What a graph computes with lies in the pool, where the next one overwrites it: work must leave
    its results elsewhere.
    """

    def __init__(self) -> None:
        """No memory is taken yet."""
        self._first: torch.cuda.CUDAGraph | None = None  # For as long as one lives the pool does.

    def __call__(self, work: Callable[[], object]) -> Callable[[], None]:
        """Records what work asks for; whatever goes wrong, the process can go on as before.

        Args:
            work: Waits for nothing.

        Returns:
            Asks for the same again, in one call.
        """
        stream = torch.cuda.current_stream()
        pool = torch.cuda.graph_pool_handle() if self._first is None else self._first.pool()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                work()
        except BaseException:
            torch.cuda.set_stream(stream)  # It leaves its own as the current one.
            _clear_up(pool)
            raise
        self._first = self._first or graph
        return graph.replay


def _clear_up(pool: Any) -> None:
    """Does what a capture leaves undone that CUDA found invalid at its end."""
    device = torch.cuda.current_device()
    try:
        torch._C._cuda_endAllocateToPool(device, pool)
    except RuntimeError:
        pass  # It came to its end: the work itself refused, and the graph gives its memory back.
    else:
        torch._C._cuda_releasePool(device, pool)
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore")  # There is nothing in it.
        # Otherwise the generator of random numbers would wait for the capture's end for ever.
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            pass
    torch.cuda.empty_cache()


class CapturedWork:
    """Replays what a function asked of the GPU when it was first called.

    A small network's kernels take less time than asking for them one by one. A graph is asked for
    at once. It is used only if its first replay changed what the function itself changed from the
    same start, for every run on its own; otherwise, or if it cannot be captured or finds no memory,
    a warning says so and the function stays in use.
    """

    def __init__(
        self,
        work: Work,
        changes: Callable[[], Mapping[str, Sequence[Tensor]]],
        *,
        capture: Capture,
        warn: Callable[[str], object] = _log.warning,
    ) -> None:
        """
        Args:
            work: Takes tensors, which it leaves alone. All else that it reads or changes must stay
                where it is in memory. It was called before for arguments laid out alike, so that
                libraries have chosen their algorithms and made their handles.
            changes: Gives all tensors that it changes for others, or later calls, to read: those
                whose changes are compared together, of one kind and one run, under a name.
            capture: How to record it.
            warn: Is told why the function stays in use.
        """
        self._work = work
        self._changes = changes
        self._capture = capture
        self._warn = warn
        self._recordings: dict[Hashable, _Recording | None] = {}

    def __call__(self, *tensors: Tensor) -> None:
        """Does the work or repeats it.

        Args:
            tensors: Its arguments, anywhere in memory.
        """
        layout = layout_of(tensors)
        with torch.no_grad():
            if layout not in self._recordings:
                self._recordings[layout] = self._record(tensors)
            recording = self._recordings[layout]
            if recording is None:
                self._work(*tensors)
            else:
                recording.repeat(tensors)

    def _record(self, tensors: Sequence[Tensor]) -> _Recording | None:
        """Records the work and tries the recording; leaves what it changes as it was."""
        try:
            recording, doubt = self._tried(tensors)
        except RuntimeError as error:  # what torch raises for work that cannot be captured
            recording, doubt = None, _why_not(error)
        if doubt is None:
            return recording
        what, why = doubt
        self._warn(f"a training step {what}, {_SLOWER}: {why}")
        return None

    def _tried(self, tensors: Sequence[Tensor]) -> tuple[_Recording, _Doubt | None]:
        """A recording, and what speaks against it."""
        inputs = copies_of(tensors)
        with _generators_kept():
            recording = _Recording(inputs, self._capture(partial(self._work, *inputs)))
        changes = self._changes()
        live = [tensor for group in changes.values() for tensor in group]
        before = [tensor.clone() for tensor in live]
        old = _together(changes)
        try:
            with _generators_kept() as draws:
                self._work(*tensors)
                if draws():
                    return recording, ("cannot be captured", "it draws random numbers on the CPU")
            wanted = _together(changes)
            _copy(live, before)
            with _generators_kept():
                recording.repeat(tensors)
            found = _together(changes)
        finally:
            _copy(live, before)
        for name, difference, change in zip(
            old, _norms(wanted, found), _norms(wanted, old), strict=True
        ):
            if difference > TOLERANCE * change:
                off = f"its changes of {name} are off by {difference:.3g} of {change:.3g}"
                return recording, ("is captured as something else", off)
        return recording, None


@dataclass(frozen=True, eq=False)
class _Recording:
    inputs: Sequence[Tensor]
    """Where the recorded work reads its arguments."""
    replay: Callable[[], None]

    def repeat(self, tensors: Sequence[Tensor]) -> None:
        """Does the recorded work for other arguments."""
        if tensors:
            torch._foreach_copy_(list(self.inputs), list(tensors))
        self.replay()


def _together(groups: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    """Copies of the tensors of each group that has any, as one row of numbers."""
    return {
        name: torch.cat([tensor.detach().reshape(-1).double() for tensor in group])
        for name, group in groups.items()
        if group
    }


def _norms(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> list[float]:
    """The Euclidean norm of the differences, of those that are finite, group by group."""
    differences = (some[name] - others[name] for name in some)
    found = [each.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).norm() for each in differences]
    return torch.stack(found).tolist() if found else []


def _copy(live: Sequence[Tensor], copies: Sequence[Tensor]) -> None:
    for tensor, copy in zip(live, copies, strict=True):
        tensor.detach().copy_(copy)


@contextmanager
def _generators_kept() -> Iterator[Callable[[], bool]]:
    """All generators of random numbers afterwards as they were.

    Yields:
        Tells whether one on the CPU, whose numbers no graph could draw anew, was used.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    of_python, of_torch = random.getstate(), torch.get_rng_state()
    try:
        with torch.random.fork_rng(devices):
            yield (
                lambda: (
                    random.getstate() != of_python
                    or not torch.equal(torch.get_rng_state(), of_torch)
                )
            )
    finally:
        random.setstate(of_python)


def _why_not(error: RuntimeError) -> _Doubt:
    """What an error says against a recording."""
    met: BaseException | None = error
    while met is not None:  # The end of a capture may fail after what failed within it.
        if isinstance(met, torch.OutOfMemoryError):
            return "finds no memory to be captured in", first_line(str(met))
        met = met.__context__
    return "cannot be captured", first_line(str(error))
