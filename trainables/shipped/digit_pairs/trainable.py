"""Pairs of digits as a trainable: the study's seven networks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from space.config import DEFAULT_TRAINABLE
from trainables.contract.run_data import RunData
from trainables.loop.batched_trainable import BatchedTrainable
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.data.counts import default_n_pairs
from trainables.shipped.digit_pairs.resolve import resolve_config

if TYPE_CHECKING:
    from trainables.loop.training import Training

__all__ = ["DigitPairs"]


class DigitPairs(BatchedTrainable[DigitPairsConfig]):
    """See the module's docstring."""

    name = DEFAULT_TRAINABLE
    about = "Pairs of digits: is the first at most the second?"
    config_type = DigitPairsConfig

    def settle(
        self, config: DigitPairsConfig, *, source: str | None = None, with_test: bool = False
    ) -> tuple[DigitPairsConfig, RunData]:
        """The images, and with them what ``auto`` means: it stays so wherever a study goes on."""
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
        data = RunData(train=images, test=test, with_test=with_test)
        return config.model_copy(update={"data": settled}), data

    def resolve(self, config: DigitPairsConfig) -> DigitPairsConfig:
        """The config with its source, numbers of pairs, auxiliary weight and options filled in."""
        return resolve_config(config)

    def open_run(self, config: DigitPairsConfig, data: RunData) -> Training:
        """A `Training` on the device that the config means in this process."""
        from trainables.device import pick_device
        from trainables.loop.training import Training
        from trainables.shipped.digit_pairs.task import DigitPairs as PairTask

        task = PairTask.of(config)
        train = data.train or task.load("train")
        if config.data.source != train.source or config != resolve_config(config):
            raise ValueError(f"the config is not resolved for data of '{train.source}'")
        return Training(task, config, train, pick_device(config.training.device))

    def network(self, config: DigitPairsConfig) -> Any:
        """The network that the config names."""
        from trainables.shipped.digit_pairs.task import DigitPairs as PairTask

        return PairTask.of(config).network()

    def predict(self, config: DigitPairsConfig, network: Any, inputs: Any) -> Any:
        """As the task says."""
        from trainables.shipped.digit_pairs.task import DigitPairs as PairTask

        return PairTask.of(config).predict(network, inputs)

    def n_parameters(self, config: DigitPairsConfig) -> int:
        """The network's parameters, counted without giving it memory."""
        return _count(config.model.model_dump_json())

    def weight(self, config: DigitPairsConfig) -> tuple[float, ...]:
        """The wider and the more pairs a step, the more memory."""
        return (config.model.width, config.training.batch_size)


@lru_cache(maxsize=256)
def _count(config_json: str) -> int:
    import torch

    from trainables.shipped.digit_pairs.models.registry import build_model

    with torch.device("meta"):
        return build_model(ModelConfig.model_validate_json(config_json)).n_parameters()
