"""From the configs of a file to those of a benchmark: complete, and known by their hashes."""

from __future__ import annotations

from collections.abc import Sequence

from space import NamedConfig, RunConfig
from storage import BenchmarkConfig
from trainables.closed_form import CLOSED_FORM
from trainables.models.registry import model_class
from trainables.resolve import resolve_config
from trainables.runs import count_parameters

__all__ = ["benchmark_configs", "resolved"]


def resolved(named: NamedConfig, seed: int) -> RunConfig:
    """The complete config of one benchmark run."""
    return resolve_config(named.with_seed(seed))


def benchmark_configs(configs: Sequence[NamedConfig], n_seeds: int) -> list[BenchmarkConfig]:
    """Complete some configs for the seeds 0 to n_seeds - 1.

    Args:
        configs: The configs, their data source settled.
        n_seeds: How many seeds, at least 1.

    Returns:
        One a config, in order.

    Raises:
        ModelError: If no network has a config's name.
        TrainingError: If a config cannot be trained.
    """
    found = []
    for named in configs:
        runs = [resolved(named, seed) for seed in range(n_seeds)]
        model = runs[0].model
        found.append(
            BenchmarkConfig(
                name=named.name,
                config=runs[0],
                config_hashes=tuple(run.config_hash() for run in runs),
                n_parameters=count_parameters(model),
                has_aux=model.name == CLOSED_FORM or model_class(model.name).has_aux,
                reported=named.reported,
            )
        )
    return found
