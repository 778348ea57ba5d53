"""What a trainable must keep, tried out on its real data."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from space.config import RunConfig
from space.epochs import Epoch
from space.errors import DataError, SpaceError, UserError
from space.files.overrides import Override, apply_overrides
from space.messages import dotted, mistakes
from space.words import joined
from trainables.contract.run import Run
from trainables.contract.run_data import RunData
from trainables.contract.trainable import Trainable
from trainables.failures import TrialFailure, is_device_lost
from trainables.finding.find import find_trainable
from trainables.tracebacks import describe
from trainables.worker.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["Check", "check_trainable"]

N_EPOCHS = 3
"""Of a run that is interrupted after the second of them."""
MOST_TOGETHER = 8
SAME = 1e-3
"""The most by which a loss may differ between a run alone and the same run among others, as a share
of it: after one epoch rounding makes a hundredth of that."""


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        what: What it is about, in a word or two.
        ok: Whether it is as it must be.
        said: What was found, or what is wrong and how to mend it.
    """

    what: str
    ok: bool
    said: str


def check_trainable(name: str, overrides: Sequence[Override] = ()) -> list[Check]:
    """Try out a trainable.

    Args:
        name: What files call it.
        overrides: Settings that are not to be the default.

    Returns:
        What was tried, in order; what rests on something that failed is not tried.
    """
    found: list[Check] = []
    for check in _Checks(name, overrides).all():
        found.append(check)
        if not check.ok:
            break
    return found


class _WrongError(Exception):
    """What is not as it must be; its text says how to mend it."""


class _Checks:
    def __init__(self, name: str, overrides: Sequence[Override]) -> None:
        self._name, self._overrides = name, overrides
        self._asked: list[str] = []
        self._trainable: Trainable[Any]
        self._config: RunConfig
        self._data: RunData
        self._whole: list[Epoch]

    def all(self) -> Iterator[Check]:
        """Every check; those after one that failed make no sense."""
        yield self._tried("loads", self._loads)
        yield self._tried("options", self._options)
        with _watched(self._trainable.written, self._asked):
            yield self._tried("data", self._settles)
            yield self._tried("epochs", self._trains)
            yield self._tried("resumes", self._resumes)
            yield self._tried("seeds", self._repeats)
            if self._trainable.batched:
                yield self._tried("together", self._trains_together)
            yield self._tried("test split", self._leaves_the_test_alone)
        yield self._tried("benchmark", self._evaluates)

    def _tried(self, what: str, work: Callable[[], str]) -> Check:
        try:
            return Check(what, True, work())
        except (_WrongError, UserError, TrialFailure) as error:
            return Check(what, False, " ".join(str(error).split()))
        except Exception as error:  # whatever a user's code does
            if is_device_lost():
                raise
            return Check(what, False, describe(error))

    def _loads(self) -> str:
        self._trainable = find_trainable(self._name)
        config_type: type[RunConfig] = self._trainable.config_type
        tree: dict[str, Any] = {"trainable": self._name}
        apply_overrides(tree, self._overrides)
        try:
            self._config = config_type.model_validate(tree)
        except ValidationError as error:
            first = mistakes(error, config_type, None)[0]
            raise SpaceError(f"{dotted(first.path)}: {first.problem}") from error
        measured = [m.name.removeprefix("val_") for m in config_type.measured.metrics]
        names = [name for name in measured if not name.startswith(("train_", "test_"))]
        return f"measures {joined(names)}" if names else "measures what a study's objective says"

    def _options(self) -> str:
        own = [name for name, path in type(self._config).searchable().items() if "options." in path]
        for name in own:
            value = self._config.value(f"options.{name}")
            if not isinstance(value, bool | int | float | str | None):
                raise _WrongError(
                    f"options.{name} is a {type(value).__name__}, which no parameter can search: "
                    "make it a number, a text, or true or false"
                )
        known = own or list(type(self._config).searchable())
        return f"a file may search {joined(known)}" if known else "none, so nothing can be searched"

    def _settles(self) -> str:
        self._config, self._data = self._trainable.settle(self._config)
        self._config = self._trainable.resolve(self._config).with_values(
            {"training.epochs": N_EPOCHS}
        )
        if self._data.train is None:
            return "none is needed"
        return f"from {self._data.source}, fingerprint {self._data.fingerprint}"

    def _trains(self) -> str:
        run = self._opened()
        self._whole = _epochs(run, N_EPOCHS)
        first = self._whole[0]
        shown = ", ".join(self._shown(name, value) for name, value in first.metrics.items())
        return f"{first.seconds:.2g} s for the first, which has {shown}"

    def _resumes(self) -> str:
        begun = self._opened()
        repeated = _epochs(begun, N_EPOCHS - 1)
        _must_be_same(repeated, self._whole, "a second run of the same seeds")
        with tempfile.TemporaryDirectory() as folder:
            save_checkpoint(begun, Path(folder) / "run.ckpt")
            again = self._opened()
            load_checkpoint(again, Path(folder) / "run.ckpt")
            size = (Path(folder) / "run.ckpt").stat().st_size
        _epochs(again, 1)
        _must_be_same(again.history, self._whole, "a run that goes on from its checkpoint")
        if again.notice is not None:
            raise _WrongError(again.notice)
        return f"the same numbers after a checkpoint, of {size:,} bytes"

    def _repeats(self) -> str:
        seed = self._config.training.training_seed + 1
        other = self._opened(self._config.with_values({"training.training_seed": seed}))
        if _epochs(other, 1)[0].metrics == self._whole[0].metrics:
            return "the same seed repeats; another training_seed gives the same numbers, too"
        return "the same seed repeats, another training_seed gives other numbers"

    def _trains_together(self) -> str:
        from trainables.loop.batch import TrainingBatch

        seeds = [self._config.training.training_seed + i for i in range(MOST_TOGETHER)]
        configs = [self._config.with_values({"training.training_seed": seed}) for seed in seeds]
        speed = self._trainable.measure_together(self._config, self._data, most=MOST_TOGETHER)
        if speed.refused is not None:
            return f"runs are trained one by one: {speed.refused}"
        batch: Any = [self._opened(config) for config in configs[:3]]
        together = TrainingBatch(batch).run_epoch()
        for run, config in zip(batch, configs, strict=False):
            alone = _epochs(self._opened(config), 1)[0]
            found = together[run]
            for name in ("train_loss", "val_loss"):
                value = found[name] if isinstance(found, Epoch) else math.nan
                if not math.isclose(value, alone[name], rel_tol=SAME, abs_tol=SAME):
                    raise _WrongError(
                        f"among others a run has {name} {value:g} after its first epoch, and "
                        f"alone {alone[name]:g}: let what the network does depend on its tensors "
                        "and on self.training alone"
                    )
        n = speed.n_runs
        if n == 1:
            return "as alone, and no faster on this machine"
        return f"as alone; {n} as one model are {speed.speedup(n):.1f} times faster a run"

    def _leaves_the_test_alone(self) -> str:
        if "test" in self._asked or self._data.test is not None:
            raise _WrongError("the test split was loaded, which belongs to benchmarks alone")
        return "not loaded by any of this"

    def _evaluates(self) -> str:
        try:
            config, data = self._trainable.settle(self._config, with_test=True)
        except DataError as error:
            return f"none, and searches need none: {error}"
        run = self._trainable.open_run(self._trainable.resolve(config), data)
        _epochs(run, N_EPOCHS)
        found = run.evaluate(data.test)
        wanted = type(config).measured.judged_by.name
        if not math.isfinite(found.get(wanted, math.nan)):
            raise _WrongError(
                f"evaluate gives {joined(list(found)) or 'nothing'}, and lacks {wanted}"
            )
        return self._shown(wanted, found[wanted])

    def _shown(self, name: str, value: float) -> str:
        return f"{name} {type(self._config).measured.metric(name).show(value)}"

    def _opened(self, config: RunConfig | None = None) -> Run:
        return self._trainable.open_run(config or self._config, self._data)


def _epochs(run: Run, n: int) -> list[Epoch]:
    return [run.run_epoch() for _ in range(n)]


def _must_be_same(found: Sequence[Epoch], wanted: Sequence[Epoch], what: str) -> None:
    for one, other in zip(found, wanted, strict=False):
        for name, value in other.metrics.items():
            if one.metrics.get(name) != value:
                raise _WrongError(
                    f"{what} has {name} {one[name]:g} in epoch {one.epoch} instead of {value:g}: "
                    "let all that is random follow from the run's seeds, and the state hold all "
                    "that changes"
                )


@contextmanager
def _watched(written: type | None, asked: list[str]) -> Iterator[None]:
    """Note which splits a class is asked for."""
    name = next((each for each in ("data", "load") if each in dir(written)), None)
    if written is None or name is None:
        yield
        return
    before, own = getattr(written, name), name in vars(written)

    def watched(self: Any, split: str) -> Any:
        asked.append(split)
        return before(self, split)

    setattr(written, name, watched)
    try:
        yield
    finally:
        if own:
            setattr(written, name, before)
        else:
            delattr(written, name)
