"""What stands in for CUDA graphs where there is no GPU, and what captured runs must come to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training

__all__ = ["FOUR_STEPS", "Captures", "assert_is_the_run_alone", "finish"]

FOUR_STEPS: dict[str, Any] = {
    "data__n_train_pairs": 36,
    "training__batch_size": 9,
    "training__epochs": 4,
}
"""Four steps an epoch, the last of them of fewer pairs."""


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps every operator with the memory that it reads and writes, like a CUDA graph."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # Not every operator that writes says so.
        for tensor in _tensors((args, kwargs)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.before:
                self.before[storage.data_ptr()] = (storage, copy.copy(storage))
        result = func(*args, **kwargs)
        # A parameter may be moved to other memory; a graph stays with what it met.
        met = tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, (args, kwargs))
        self.calls.append((func, *met, _tensors(result)))
        return result

    def undo(self) -> None:
        """Takes back what was changed: a capture only records."""
        for storage, bytes_before in self.before.values():
            storage.copy_(bytes_before)

    def replay(self) -> None:
        for func, args, kwargs, results in self.calls:
            for old, new in zip(results, _tensors(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class Captures:
    """Records work as `CudaGraphs` would, and counts how often it did, and was used."""

    def __init__(self) -> None:
        self.n_captures = 0
        self.n_replays = 0

    def __call__(self, work: Callable[[], object]) -> Callable[[], None]:
        self.n_captures += 1
        recorder = _Recorder()
        with recorder:
            work()
        recorder.undo()

        def replay() -> None:
            self.n_replays += 1
            recorder.replay()

        return replay


def finish(batch: TrainingBatch) -> None:
    while batch.runs:
        batch.run_epoch()


def assert_is_the_run_alone(run: Training, alone: Training) -> None:
    while not alone.finished:
        alone.run_epoch()
    assert len(run.history) == len(alone.history)
    for one, two in zip(alone.history, run.history, strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-7)
        assert two["val_loss"] == pytest.approx(one["val_loss"], rel=1e-7)
        assert (two["train_error"], two["val_error"]) == (one["train_error"], one["val_error"])
    state = run.state_dict()
    torch.testing.assert_close(state["model"], alone.state_dict()["model"], rtol=0, atol=1e-7)
    torch.testing.assert_close(
        state["optimizer"], alone.state_dict()["optimizer"], rtol=1e-6, atol=1e-7
    )
