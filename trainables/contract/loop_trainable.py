"""A user's loop as a trainable, and a run of it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from space.config import DataSettings, Options, RunConfig, TrainingSettings
from space.epochs import Epoch
from space.errors import DataError, SpaceError, TrainingError, nearest
from space.metrics import UNKNOWN, Measured
from trainables.contract.function import FunctionLoop
from trainables.contract.loaded import Loaded
from trainables.contract.loop import Loop, packed
from trainables.contract.options import (
    check_complete,
    check_metrics,
    config_with,
    made_of,
    options_of_class,
)
from trainables.contract.run import Run
from trainables.contract.run_data import RunData
from trainables.contract.trainable import Trainable
from trainables.tracebacks import mistakes_told

__all__ = ["LoopConfig", "LoopRun", "LoopTrainable"]


class LoopConfig(RunConfig):
    """Everything that a run of a loop depends on besides the machine."""

    data: DataSettings = Field(default_factory=DataSettings)
    """The data."""
    options: Options = Field(default_factory=Options)
    """The loop's own options."""
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    """How long, from which seed and where it trains."""


class LoopTrainable(Trainable[LoopConfig]):
    """Runs of a `Loop`, each trained by itself."""

    def __init__(self, loop: type[Loop], name: str) -> None:
        """
        Args:
            loop: The loop's class.
            name: What files call it.

        Raises:
            SpaceError: If the class is not complete, or its options or metrics are none.
        """
        check_complete(loop, name)
        metrics = check_metrics(loop.metrics, name)
        if not metrics and not issubclass(loop, FunctionLoop):
            raise SpaceError(f"{name} measures nothing; expected metrics = (Metric('error'),), say")
        self.loop_type = self.written = loop
        self.config_type = config_with(LoopConfig, options_of_class(loop, name), name)
        self.config_type.measured = Measured.of(metrics) if metrics else UNKNOWN

    def settle(
        self, config: LoopConfig, *, source: str | None = None, with_test: bool = False
    ) -> tuple[LoopConfig, RunData]:
        """Load the splits."""
        loop = made_of(self.loop_type, config.options)
        if with_test and (
            self.loop_type.evaluate is Loop.evaluate or not self.config_type.measured.metrics
        ):
            wanted = "@measures(Metric('error'))" if self._is_function else "a method evaluate"
            raise DataError(f"{self.name} cannot be benchmarked: it needs {wanted}")
        with mistakes_told(DataError):
            train = self._loaded(loop, "train")
            test = self._loaded(loop, "test") if with_test else None
        config = config.model_copy(update={"trainable": self.pinned})
        return config, RunData(train=train, test=test, own=self.own, with_test=with_test)

    def resolve(self, config: LoopConfig) -> LoopConfig:
        """The config with the text of its file.

        Raises:
            TrainingError: If the loop refuses its options.
        """
        made_of(self.loop_type, config.options)
        return config.model_copy(update={"trainable": self.pinned})

    def open_run(self, config: LoopConfig, data: RunData) -> LoopRun:
        """A run of a fresh instance."""
        return LoopRun(self.loop_type(config.options), config, data)

    def n_parameters(self, config: LoopConfig) -> int:
        """What the loop says."""
        return self.loop_type(config.options).n_parameters

    @property
    def _is_function(self) -> bool:
        return issubclass(self.loop_type, FunctionLoop)

    def _loaded(self, loop: Loop, split: Any) -> Loaded | None:
        content = loop.load(split)
        return None if content is None else Loaded.build(loop.source, split, content)


class LoopRun(Run):
    """A run of a loop: its books, its metrics checked, its state as bytes."""

    def __init__(self, loop: Loop, config: LoopConfig, data: RunData) -> None:
        """
        Args:
            loop: A fresh instance.
            config: The resolved config that it was made from.
            data: What it is trained on.
        """
        fingerprint = "" if data.train is None else data.train.fingerprint
        super().__init__(config, config.measured, fingerprint)
        self.loop = loop
        self._measured = config.measured
        loop.run = loop.run_type(
            epochs=config.training.epochs,
            training_seed=config.training.training_seed,
            data_seed=config.data.data_seed,
            device=config.training.device,
            with_test=data.with_test,
        )
        loop.begin(None if data.train is None else data.train.content)

    @property
    def n_parameters(self) -> int:
        """What the loop says."""
        return self.loop.n_parameters

    def run_epoch(self) -> Epoch:
        """See `Run.run_epoch`.

        Raises:
            NonFiniteLossError: If a metric is not finite.
            TrainingError: If the metrics are not those that the loop says.
        """
        if self.finished:
            raise RuntimeError("the run is finished")
        started = time.perf_counter()
        metrics = self._checked(self.loop.train_epoch(), ("val", "train"))
        seconds = time.perf_counter() - started
        self.notice, self.loop.notice = self.loop.notice, None
        epoch = Epoch(epoch=self.epoch + 1, metrics=metrics, seconds=seconds)
        self.complete_epoch(epoch)
        return epoch

    def evaluate(self, test: Any, *, other: bool = False) -> dict[str, float]:
        """The kept epoch's metrics, and those of its state on the test split; the run is over."""
        epoch = self.other if other else self.kept
        state = self._other_state if other else self._kept_state
        if epoch is None or state is None:
            raise RuntimeError("no state is kept before the first epoch's end")
        self.loop.load_state_dict(pickle.loads(state))  # noqa: S301 - its own
        found = self.loop.evaluate(None if test is None else test.content)
        return {**epoch.metrics, **self._checked(found, ("test",))}

    def _state(self) -> dict[str, Any]:
        return {"loop": packed(self.loop.state_dict())}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.loop.load_state_dict(pickle.loads(state["loop"]))  # noqa: S301 - its own

    def _begin_at(self, state: Mapping[str, Any]) -> None:
        self.loop.go_on_from(pickle.loads(state["loop"]))  # noqa: S301 - its own

    def _evaluable_state(self) -> bytes | None:
        # In a search nothing is evaluated, and a state may be large.
        return packed(self.loop.state_dict()) if self.loop.run.with_test else None

    def _checked(self, found: Mapping[str, float], splits: tuple[str, ...]) -> dict[str, float]:
        """What the loop measured, if it is what it says; the first of the splits is a must."""
        what = type(self.loop).__name__
        if not isinstance(found, Mapping):
            raise TrainingError(
                f"{what} gives a {type(found).__name__}; expected metrics, as in "
                f"{{'{splits[0]}_error': 0.1}}"
            )
        known = [m.name for m in self._measured.metrics if m.name.partition("_")[0] in splits]
        for name in found:
            if name.partition("_")[0] not in splits or (known and name not in known):
                shown = ", ".join(known) or " and ".join(f"{split}_..." for split in splits)
                raise TrainingError(
                    f"{what} gives '{name}'; expected {shown}{nearest(name, known)}"
                )
        for name in known:
            if name.startswith(splits[0]) and name not in found:
                raise TrainingError(f"{what} gives {', '.join(found)}, and lacks '{name}'")
        try:
            return {name: float(value) for name, value in found.items()}
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{what} gives what is no number: {error}") from error
