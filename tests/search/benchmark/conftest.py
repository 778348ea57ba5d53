"""Tables of made benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from dashboards.numbers.results import ConfigResult, collect
from dashboards.numbers.tables import BenchmarkTable, benchmark_table
from search.benchmark.configs import benchmark_configs
from space import NamedConfig
from storage import Store
from tests.search.results_store import add_runs, begin_launch, named_config
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

NASTY = "a|b & c_d <e> 100% $x$ {é} ~^# \\ *[日本]*"
REPORTED = {
    "source": "Table I",
    "n": 10,
    "train_error": {"mean": 0.05, "std": 0.01},
    "val_error": {"mean": 0.2, "std": 0.02},
    "test_error": {"mean": 0.22, "std": 0.02},
}
TEN = {seed: 0.3 + 0.001 * seed for seed in range(10)}
BETTER = {seed: value - 0.05 - 0.002 * (seed % 3) for seed, value in TEN.items()}


def filled(
    store: Store,
    runs: Sequence[tuple[NamedConfig, Mapping[int, float]]],
    n_seeds: int = 10,
) -> list[ConfigResult]:
    """The results of some configs whose runs have just been recorded."""
    launch_id = begin_launch(store)
    for named, test_errors in runs:
        add_runs(store, launch_id, named, test_errors)
    return collect(store, benchmark_configs([named for named, _ in runs], range(n_seeds)))


@pytest.fixture
def table(store: Store) -> BenchmarkTable:
    """A reference, a better config, one with one seed, one without any, with awkward names."""
    return benchmark_table(
        filled(
            store,
            [
                (named_config("MLP", reported=REPORTED), TEN),
                (named_config(NASTY, "siamese-aux", reported=REPORTED), BETTER),
                (named_config("=one", "convnet", reported=REPORTED), {3: 0.25}),
                (named_config("none_yet", "resnet", reported=REPORTED), {}),
            ],
        ),
        DIGIT_PAIRS,
        title="Table I,\n  restated",
    )
