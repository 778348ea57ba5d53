"""A generator function that trains: each yield is an epoch's metrics."""

from __future__ import annotations

import inspect
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from space.config import Options
from space.errors import SpaceError, TrainingError
from space.metrics import Metric
from trainables.contract.loop import Loop, RunInfo, packed
from trainables.contract.options import options_of_function

__all__ = ["FunctionLoop", "FunctionRun", "loop_of_function", "measures"]

F = TypeVar("F", bound=Callable[..., Iterator[Mapping[str, float]]])

_ENDED = object()
_SAME = 1e-6
"""The most by which numbers of a repeated epoch may differ, as a share of them."""


@dataclass
class FunctionRun(RunInfo):
    """What a function is told of its run, and where it may leave what it would go on from."""

    epoch: int = 0
    """Epochs that lie behind it; more than 0 at the start where it goes on from `checkpoint`."""
    saved: bytes | None = None
    """`checkpoint` as it was assigned."""
    saved_epoch: int = 0
    """The epochs behind what `checkpoint` holds."""

    @property
    def checkpoint(self) -> Any:
        """What was assigned last, or in an earlier process; None at a run's beginning.

        Assigned before a yield, it is the state at the end of that epoch. Whatever pickle can write
        will do; it is copied when it is assigned.
        """
        return None if self.saved is None else pickle.loads(self.saved)  # noqa: S301 - its own

    @checkpoint.setter
    def checkpoint(self, state: Any) -> None:
        self.saved, self.saved_epoch = packed(state), self.epoch + 1


def measures(*metrics: Metric) -> Callable[[F], F]:
    """Says what a function measures: ``@measures(Metric("accuracy", maximize=True))``.

    Without it, a search goes by its objective alone, and there are no benchmarks.

    Args:
        metrics: The metrics, without a split in their names; the first decides which epoch is kept.
    """

    def say(function: F) -> F:
        function.metrics = metrics  # type: ignore[attr-defined]
        return function

    return say


class FunctionLoop(Loop):
    """A function as a loop. One that leaves no checkpoint is begun anew where its run goes on."""

    function: Callable[[Any, FunctionRun], Iterator[Mapping[str, float]]]
    run_type = FunctionRun
    run: FunctionRun

    def __init__(self, options: Options) -> None:
        """See `Loop`."""
        super().__init__(options)
        self._steps: Iterator[Any] | None = None
        self._test: Mapping[str, float] = {}
        self._since: list[Mapping[str, float]] = []
        """What was yielded since the checkpoint."""
        self._known: list[Mapping[str, float]] = []
        """What an earlier process had yielded since: it comes again, and is passed over."""

    def train_epoch(self) -> Mapping[str, float]:
        """The function's next yield.

        Raises:
            TrainingError: If the function has ended, or yields what it must not.
        """
        steps = self._steps = self._steps or type(self).function(self.options, self.run)
        while self._known:
            self._compare(self._known.pop(0), self._next(steps))
        return self._next(steps)

    def evaluate(self, test: Any) -> Mapping[str, float]:
        """The test metrics that the function yielded with the kept epoch."""
        return self._test

    def state_dict(self) -> Mapping[str, Any]:
        """What the function left as its checkpoint, and what it has yielded since."""
        since = [*self._since, *self._known]
        run = self.run
        return {
            "saved": run.saved,
            "epoch": run.saved_epoch,
            "since": since,
            "test": self._test,
            "epochs": run.epochs,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the function begin again, from its checkpoint if it left one."""
        self._steps, self._test = None, state["test"]
        self._since, self._known = [], list(state["since"])
        self.run.saved, self.run.saved_epoch = state["saved"], state["epoch"]
        self.run.epoch = self.run.saved_epoch
        self.run.epochs = state.get("epochs", self.run.epochs)

    def go_on_from(self, state: Mapping[str, Any]) -> None:
        """Have the function begin at the other run's checkpoint, and train so many epochs more.

        Raises:
            TrainingError: If it left none at its end.
        """
        if state["since"] or state["saved"] is None:
            raise TrainingError(
                "the function left no checkpoint at the end of its last epoch, for another to go "
                "on from: assign run.checkpoint before each yield"
            )
        n_epochs = self.run.epochs
        self.load_state_dict(state)
        self.run.epochs += n_epochs

    def _next(self, steps: Iterator[Any]) -> Mapping[str, float]:
        found = next(steps, _ENDED)
        if found is _ENDED:
            raise TrainingError(
                f"the function ended after {self.run.epoch} epochs, and training.epochs is "
                f"{self.run.epochs}: let it yield once an epoch, the last numbers again where "
                "nothing is left to train"
            )
        self.run.epoch += 1
        if not isinstance(found, Mapping):
            raise TrainingError(
                f"the function yields a {type(found).__name__}; expected metrics, as in "
                "yield {'val_error': 0.1}"
            )
        self._test = {name: found[name] for name in found if name.startswith("test_")}
        if self._test and not self.run.with_test:
            raise TrainingError(
                f"the function yields {', '.join(self._test)} in a search, which never sees the "
                "test split: yield that only where run.with_test is true"
            )
        metrics = {name: found[name] for name in found if name not in self._test}
        self._since = [] if self.run.saved_epoch == self.run.epoch else [*self._since, metrics]
        return metrics

    def _compare(self, known: Mapping[str, float], found: Mapping[str, float]) -> None:
        for name, value in known.items():
            again = found.get(name, math.nan)
            if self.notice is None and not math.isclose(again, value, rel_tol=_SAME, abs_tol=1e-12):
                self.notice = (
                    f"begun anew, the run has {name} {again:g} in epoch {self.run.epoch}, where "
                    f"{value:g} is recorded: let all that is random in the function follow from "
                    "run.training_seed and run.data_seed"
                )


def loop_of_function(found: Callable[..., Any], name: str) -> type[FunctionLoop]:
    """The loop that a user's function is.

    Args:
        found: The function.
        name: What files call it.

    Raises:
        SpaceError: If it is no generator function of options and a run.
    """
    options = options_of_function(found, name)
    if not inspect.isgeneratorfunction(found):
        raise SpaceError(
            f"{name} is a function without a yield; expected one that yields each epoch's metrics, "
            "as in yield {'val_error': 0.1}"
        )
    body = {
        "function": staticmethod(found),
        "metrics": getattr(found, "metrics", ()),
        "__annotations__": {"options": options},
        "__doc__": found.__doc__,
        "__module__": found.__module__,
    }
    return type(found.__name__, (FunctionLoop,), body)
