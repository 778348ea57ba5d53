"""Pairs of digits as a trainable: the study's seven networks, and a closed form of their curves."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from space.config import DEFAULT_TRAINABLE
from trainables.contract.run_data import RunData
from trainables.contract.trainable import Grouping, Trainable
from trainables.shipped.closed_form import CLOSED_FORM, ClosedForm
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.data.counts import default_n_pairs
from trainables.shipped.digit_pairs.resolve import resolve_config

if TYPE_CHECKING:
    from trainables.contract.group_speed import GroupSpeed
    from trainables.contract.run import Run
    from trainables.loop.training import Training

__all__ = ["DigitPairs"]


class DigitPairs(Trainable[DigitPairsConfig]):
    """See the module's docstring. A closed form needs no data, no network and no PyTorch."""

    name = DEFAULT_TRAINABLE
    config_type = DigitPairsConfig
    grouping: Grouping = "measured"

    def settle(
        self, config: DigitPairsConfig, *, source: str | None = None, with_test: bool = False
    ) -> tuple[DigitPairsConfig, RunData]:
        """The images, and with them what ``auto`` means: it stays so wherever a study goes on."""
        if config.model.name == CLOSED_FORM and not with_test:
            return config, RunData()
        from trainables.loop.training import draw_parts
        from trainables.shipped.digit_pairs.data.sources import load_source, resolve_source
        from trainables.shipped.digit_pairs.task import DigitPairs as PairTask
        from trainables.shipped.digit_pairs.task import PairOptions

        wanted = config.data
        if wanted.source == "auto" and source in ("mnist", "digits"):
            wanted = wanted.model_copy(update={"source": source})
        images, found = load_source(wanted, "train"), resolve_source(wanted)
        settled = wanted.model_copy(
            update={
                "source": found,
                "n_train_pairs": wanted.n_train_pairs or default_n_pairs(found, "train"),
                "n_test_pairs": wanted.n_test_pairs or default_n_pairs(found, "test"),
            }
        )
        task = PairTask(PairOptions(data=settled, model=config.model))
        draw_parts(task, images, settled.data_seed)  # Too few images are found out before any run.
        test = load_source(wanted, "test") if with_test else None
        return config.model_copy(update={"data": settled}), RunData(train=images, test=test)

    def resolve(self, config: DigitPairsConfig) -> DigitPairsConfig:
        """The config with its source, numbers of pairs, auxiliary weight and options filled in."""
        return resolve_config(config)

    def open_run(self, config: DigitPairsConfig, data: RunData) -> Run:
        """A `ClosedForm`, or a `Training` on the device that the config means in this process."""
        if config.model.name == CLOSED_FORM:
            return ClosedForm(config)
        from trainables.device import pick_device
        from trainables.loop.training import Training
        from trainables.shipped.digit_pairs.task import DigitPairs as PairTask

        task = PairTask.of(config)
        train = data.train or task.load("train")
        if config.data.source != train.source or config != resolve_config(config):
            raise ValueError(f"the config is not resolved for data of '{train.source}'")
        return Training(task, config, train, pick_device(config.training.device))

    def n_parameters(self, config: DigitPairsConfig) -> int:
        """The network's parameters, counted without giving it memory; a closed form has none."""
        if config.model.name == CLOSED_FORM:
            return 0
        return _count(config.model.model_dump_json())

    def weight(self, config: DigitPairsConfig) -> tuple[float, ...]:
        """The wider and the more pairs a step, the more memory."""
        return (config.model.width, config.training.batch_size)

    def shortened(self, config: DigitPairsConfig) -> tuple[DigitPairsConfig, float]:
        """Two epochs of one step; a forward pass of the validation pairs is a third of one."""
        batch, fraction = config.training.batch_size, config.data.validation_fraction
        n_pairs = config.data.n_train_pairs or 0
        n_train = round(n_pairs * (1 - fraction))
        n_visited = 2 * n_train if config.data.augment else n_train
        one_step = {
            "data.n_train_pairs": min(n_pairs, math.ceil(batch / (1 - fraction)) + 1),
            "data.augment": False,
            "training.epochs": 2,
        }
        steps = math.ceil(n_visited / batch) + (n_pairs - n_train) / batch / 3
        return config.with_values(one_step), steps

    def is_measured(self, config: DigitPairsConfig) -> bool:
        """Whether it has a network, whose steps take time."""
        return config.model.name != CLOSED_FORM

    def measure_together(
        self, config: DigitPairsConfig, data: RunData, *, most: int
    ) -> GroupSpeed | int:
        """Steps of a network, measured; of a closed form as many as there are, in no time."""
        if config.model.name == CLOSED_FORM:
            return most
        from trainables.loop.group_speed import MOST_TIMED, measure_group_speed

        long = config.with_values({"training.epochs": MOST_TIMED + 1})
        return measure_group_speed(lambda: cast("Training", self.open_run(long, data)), most=most)


@lru_cache(maxsize=256)
def _count(config_json: str) -> int:
    import torch

    from trainables.shipped.digit_pairs.models.registry import build_model

    with torch.device("meta"):
        return build_model(ModelConfig.model_validate_json(config_json)).n_parameters()
