"""Work on tensors that stay where they are in memory, repeated as one CUDA graph."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from trainables.loop.layout import copies_of, layout_of

__all__ = ["Capture", "CapturedWork", "capture_cuda_graph"]

_log = logging.getLogger(__name__)

Work = Callable[..., object]
Capture = Callable[[Callable[[], object]], Callable[[], None]]
"""Takes work without doing it; gives what does it, as often as it is called."""

WARM_UP = 3
"""Calls before a capture, in which libraries choose their algorithms and make their handles."""
TOLERANCE = 0.3
"""By how much a graph's changes may differ from those of the work, as a share of them.

Other algorithms round otherwise, and Adam makes whole steps of the smallest gradients; a graph that
reads or writes the wrong memory is off by about all of it."""

_SLOWER = "so its operators are asked for one by one, which is slower"


def capture_cuda_graph(work: Callable[[], object]) -> Callable[[], None]:
    """Records what work asks of the current GPU.

    Args:
        work: Waits for nothing, and draws no random numbers on the GPU.

    Returns:
        Asks for the same again, in one call.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            work()
    finally:
        torch.cuda.set_stream(stream)  # A capture that fails leaves its own as the current one.
    return graph.replay


class CapturedWork:
    """Calls a function some times, and from then on replays what it asked of the GPU.

    A small network's kernels take less time than asking for them one by one. A graph is asked for
    at once. It is used only if its first replay changed what the function itself changed from the
    same start; otherwise, or if it cannot be captured, a warning says so and the function stays in
    use.
    """

    def __init__(
        self,
        work: Work,
        changes: Mapping[str, Sequence[Tensor]],
        *,
        capture: Capture = capture_cuda_graph,
        warm_up: int = WARM_UP,
        warn: Callable[[str], object] = _log.warning,
    ) -> None:
        """
        Args:
            work: Takes tensors, which it leaves alone. All else that it reads or changes must stay
                where it is in memory.
            changes: All tensors that it changes for others, or later calls, to read: those of one
                kind, whose changes are compared together, under the kind's name. What the first
                calls make may be added to a list meanwhile.
            capture: How to record it.
            warm_up: Calls with arguments of one layout before it is recorded for them.
            warn: Is told why the function stays in use.
        """
        self._work = work
        self._changes = dict(changes)
        self._capture = capture
        self._warm_up = warm_up
        self._warn = warn
        self._n_calls: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, _Recording | None] = {}

    def __call__(self, *tensors: Tensor) -> None:
        """Does the work or repeats it.

        Args:
            tensors: Its arguments, anywhere in memory.
        """
        layout = layout_of(tensors)
        with torch.no_grad():
            if layout not in self._recordings:
                self._n_calls[layout] += 1
                if self._n_calls[layout] <= self._warm_up:
                    self._work(*tensors)
                    return
                self._recordings[layout] = self._record(tensors)
            recording = self._recordings[layout]
            if recording is None:
                self._work(*tensors)
            else:
                recording.repeat(tensors)

    def _record(self, tensors: Sequence[Tensor]) -> _Recording | None:
        """Records the work and tries the recording; leaves what it changes as it was."""
        inputs = copies_of(tensors)
        try:
            recording = _Recording(inputs, self._capture(partial(self._work, *inputs)))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # what torch raises for work that cannot be captured
            self._warn(f"a training step cannot be captured, {_SLOWER}: {error}")
            return None
        before = self._copies()
        self._work(*tensors)
        wanted = self._copies()
        self._put_back(before)
        recording.repeat(tensors)
        found = self._copies()
        self._put_back(before)
        for kind in self._changes:
            change = _distance(wanted[kind], before[kind])
            difference = _distance(wanted[kind], found[kind])
            if difference > TOLERANCE * change:
                self._warn(
                    f"a captured training step changes something else, {_SLOWER}: its changes of "
                    f"the {kind} are off by {difference:.3g} of {change:.3g}"
                )
                return None
        return recording

    def _copies(self) -> dict[str, list[Tensor]]:
        return {kind: [t.clone() for t in tensors] for kind, tensors in self._changes.items()}

    def _put_back(self, copies: Mapping[str, Sequence[Tensor]]) -> None:
        for kind, tensors in self._changes.items():
            for tensor, copy in zip(tensors, copies[kind], strict=True):
                tensor.copy_(copy)


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


def _distance(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """The Euclidean norm of the differences, of those that are finite."""
    norms = [
        torch.nan_to_num(one.double() - other.double(), nan=0.0, posinf=0.0, neginf=0.0).norm()
        for one, other in zip(some, others, strict=True)
    ]
    return float(torch.stack(norms).norm()) if norms else 0.0
