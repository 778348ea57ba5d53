"""What training runs as one batch changes of their final numbers.

    python -m tests.benchmarks.training.batching_effect [--models mlp convnet]
        [--seeds 20] [--json FILE]

Each seed is trained for the 25 epochs of the report's Table I, with that table's settings, twice:
alone, and as one batch with all the other seeds. Alone a run repeats to the bit on one machine, so
what differs comes of rounding, which training makes larger step by step. The test errors are those
of the state kept, as a benchmark records them; the differences are tested as those of two configs
are, seed by seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch

import space
from dashboards.statistics.means import compare_paired
from space import load_configs
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.harness.configs import open_run
from trainables.contract.split_data import SplitData
from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.data.sources import load_source
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.resolve import resolve_config


def configs_of(model: str, n_seeds: int) -> list[DigitPairsConfig]:
    """The row of the report's Table I with a model, on the seeds 0 to n_seeds - 1."""
    rows = load_configs(Path(space.__file__).parent / "paper" / "table1.yaml").configs
    (row,) = (named for named in rows if named.config.value("model.name") == model)
    forced = {"training.device": "cpu", "data.source": "mnist"}
    configs = [row.with_seed(seed).with_values(forced) for seed in range(n_seeds)]
    return [resolve_config(cast(DigitPairsConfig, config)) for config in configs]


def train_alone(configs: Sequence[DigitPairsConfig], images: SplitData) -> list[Training]:
    """Each run by itself."""
    runs = [cast(Training, open_run(config, images)) for config in configs]
    for run in runs:
        while not run.finished:
            run.run_epoch()
    return runs


def train_together(configs: Sequence[DigitPairsConfig], images: SplitData) -> list[Training]:
    """All runs as one batch."""
    runs = [cast(Training, open_run(config, images)) for config in configs]
    batch = TrainingBatch(runs)
    while batch.runs:
        batch.run_epoch()
    return runs


def test_errors(runs: Sequence[Training], test_images: SplitData) -> list[float]:
    """Of the state that each run kept."""
    return [run.evaluate(test_images)["test_error"] for run in runs]


def row(
    model: str, runs: Sequence[Training], alone: Sequence[Training], test_images: SplitData
) -> list[Cell]:
    """Runs of a batch against the same runs alone."""
    errors, reference = test_errors(runs, test_images), test_errors(alone, test_images)
    found = compare_paired(errors, reference)
    differences = [error - other for error, other in zip(errors, reference, strict=True)]
    kept = [
        one.kept is not None and two.kept is not None and one.kept.epoch != two.kept.epoch
        for one, two in zip(runs, alone, strict=True)
    ]
    first = [
        abs(one.history[0]["train_loss"] - two.history[0]["train_loss"])
        for one, two in zip(runs, alone, strict=True)
    ]
    low, high = found.interval or (None, None)
    return [
        model,
        found.n,
        max(first),
        sum(difference != 0 for difference in differences),
        sum(kept),
        found.std_difference,
        max(map(abs, differences)),
        sum(reference) / len(reference),
        found.mean_difference,
        low,
        high,
        found.p_value,
    ]


def main(argv: list[str]) -> int:
    """Trains and prints the table."""
    parser = Parser(prog="python -m tests.benchmarks.training.batching_effect", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["mlp", "convnet"])
    parser.add_argument("--seeds", type=positive_int, default=20, metavar="N", help="at least 2")
    add_json_option(parser)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = []
    for model in options.models:
        configs = configs_of(model, options.seeds)
        images = load_source(configs[0].data, "train")
        test_images = load_source(configs[0].data, "test")
        alone = train_alone(configs, images)
        rows.append(row(model, train_together(configs, images), alone, test_images))
    columns = ["model", "seeds", "first epoch's loss differs by at most"]
    columns += ["seeds whose test error differs", "whose kept epoch differs"]
    columns += ["std of the differences", "largest", "mean test error alone", "mean difference"]
    publish(
        title="What batching changes of the final numbers",
        module="tests.benchmarks.training.batching_effect",
        argv=argv,
        tables=[
            Table(
                title="Test error after 25 epochs in a batch, minus the same seed's alone",
                columns=[*columns, "95 % from", "to", "p"],
                rows=rows,
            )
        ],
        notes=[
            "Of the differences, which are seed by seed. Whether the mean moves is what the "
            "interval and p say (sign-flip test): a seed's own number moves, a mean over seeds "
            "need not."
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
