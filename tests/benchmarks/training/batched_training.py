"""Runs trained as one batched model, beside one after another and beside a DataLoader loop.

    python -m tests.benchmarks.training.batched_training [--models mlp convnet] [--runs 1 2 4 8 16]
        [--together 10] [--rounds 3] [--threads N] [--device cpu|cuda] [--json FILE]

All is at the report's settings: width 128, batches of 50, 900 training and 100 validation pairs, on
images drawn at random, as a step costs the same on any. The first table times whole trainings of 25
epochs, with all that is done once; the second an epoch with its validation, once it is warm, over
the number of runs trained together. In every round each way trains in turn, so that whatever else
the machine does meets all of them.

A batch a core is how search.benchmark and search.launch train on a CPU: the runs shared out among
as many workers as there are cores, each with one thread. The workers are there before the clock
starts, as Ray's are. The other ways train in one process with as many threads as there are cores.
A process traces the steps of a kind of batch once, so that of the rounds only the first has that in
its time.

The DataLoader loop is the ordinary PyTorch way: a data set of tensors a sample, batches shuffled
and put together by a DataLoader, contiguous images, torch's Adam as it comes.

Bare products are those of a batch a core, and Adam's steps, with nothing between them: see
`tests.benchmarks.training.bare_products`.

At the matrix rate, a training would take as long as its floating-point operations, without those
on padding, take in the device's best square matrix product in float32; what the optimizer moves
through memory is on top of that. The share of the matrix rate compares the same two. On a GPU all
seven models are swept from 1 to 32 runs, and what both of the report's tables and its weight grid
would take is worked out from epochs of their configs. Without one it says so.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import torch

import space
from space import load_configs
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from space.words import count
from tests.benchmarks.results import Cell, Table, add_json_option, publish, without_avx512
from tests.benchmarks.training.bare_products import train_bare
from tests.benchmarks.training.dataloader_loop import dataloader_epoch
from tests.benchmarks.training.steps import (
    matrix_products,
    padding_share,
    random_images,
    report_config,
    seconds_of,
    step_flops,
)
from tests.harness.configs import open_run
from trainables.contract.split_data import SplitData
from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import (
    DigitPairsConfig,
)
from trainables.shipped.digit_pairs.flops import forward_flops
from trainables.shipped.digit_pairs.models import MODELS, build_model
from trainables.shipped.digit_pairs.resolve import resolve_config

WAYS = ("DataLoader", "alone", "batched")
A_CORE = "a batch a core"
BARE = "bare products"
EPOCHS = 25
"""Epochs of the report's Table I."""
GRID_WEIGHTS = 10
"""Auxiliary weights of the report's grid, each with two networks and 10 seeds of both."""


def epoch_flops(config: DigitPairsConfig) -> float:
    """Floating-point operations of an epoch with its validation, but for those on padding."""
    model = build_model(config.model)
    total = 900 * step_flops(model, 2) / 2 + 100 * forward_flops(model)
    return total * (1 - padding_share(model))


def _opened(config: DigitPairsConfig, images: SplitData) -> Training:
    return cast(Training, open_run(config, images))


def matrix_rate(device: torch.device) -> float:
    """Floating-point operations a second of the best of some square matrix products."""
    n = 2048 if device.type == "cpu" else 8192
    products = matrix_products(n, device)
    return max(2 * n**3 / seconds_of(each, device) for _ in range(5) for each in products)


def in_turn(
    work: Mapping[str, tuple[Callable[[], object], int]], rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds a run of every way in every round.

    Args:
        work: Way -> what to do, and how many runs it is.
        rounds: How often.
        device: Where.
    """
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for way, (do, n_runs) in work.items():
            seconds[way].append(seconds_of(do, device) / n_runs)
    return seconds


def medians(seconds: Mapping[str, Sequence[float]], ways: Sequence[str]) -> list[Cell]:
    """Cells: the median of every way."""
    return [statistics.median(seconds[way]) for way in ways]


def times_faster(seconds: Mapping[str, Sequence[float]], way: str) -> list[Cell]:
    """Cells: how many times faster a run is in one way than by a DataLoader and alone."""
    return [
        statistics.median(a / b for a, b in zip(seconds[other], seconds[way], strict=True))
        for other in WAYS[:2]
    ]


def train_together(configs: Sequence[DigitPairsConfig], device: torch.device) -> None:
    """Whole trainings as one batch."""
    images = random_images()
    batch = TrainingBatch([_opened(config, images) for config in configs])
    while batch.runs:
        batch.run_epoch()


def train_on_cpu(configs: Sequence[DigitPairsConfig]) -> None:
    """Whole trainings as one batch on the CPU."""
    train_together(configs, torch.device("cpu"))


def whole_trainings(model: str, together: int, rounds: int, device: torch.device) -> list[Cell]:
    """A row of the first table: from the images to the end of the last epoch."""
    images = random_images()
    configs = [report_config(model, seed, device, EPOCHS) for seed in range(together)]

    def dataloader() -> None:
        epoch = dataloader_epoch(configs[0], images, device)
        for _ in range(EPOCHS):
            epoch()

    def alone() -> None:
        run = _opened(configs[0], images)
        while not run.finished:
            run.run_epoch()

    work: dict[str, tuple[Callable[[], object], int]] = {
        "DataLoader": (dataloader, 1),
        "alone": (alone, 1),
        "batched": (lambda: train_together(configs, device), together),
    }
    ways = list(WAYS)
    rates = [matrix_rate(device)]
    with ExitStack() as stack:
        if device.type == "cpu":
            on_cores = stack.enter_context(workers_of_one_thread(configs[0], together))
            work[A_CORE] = (lambda: on_cores(train_on_cpu, configs), together)
            ways.append(A_CORE)
            work[BARE] = (lambda: on_cores(train_bare, configs), together)
        seconds = in_turn(work, rounds, device)
    rates.append(matrix_rate(device))
    ratios = [ratio for way in ways[2:] for ratio in times_faster(seconds, way)]
    bare = statistics.median(seconds[BARE]) if BARE in work else None
    at_the_rate = EPOCHS * epoch_flops(configs[0]) / max(rates)
    return [model, together, *medians(seconds, ways), *ratios, bare, at_the_rate]


@contextmanager
def workers_of_one_thread(
    warm_up: DigitPairsConfig, most: int
) -> Iterator[
    Callable[[Callable[[Sequence[DigitPairsConfig]], None], Sequence[DigitPairsConfig]], None]
]:
    """As many warm workers as there are cores, or runs.

    Args:
        warm_up: What each trains for an epoch before it is handed out.
        most: The most workers.

    Yields:
        Has runs trained in some way, shared out among the workers, a batch each.
    """
    n_workers = min(torch.get_num_threads(), most)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        n_workers, mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:

        def share_out(
            train: Callable[[Sequence[DigitPairsConfig]], None], configs: Sequence[DigitPairsConfig]
        ) -> None:
            shares = [configs[i::n_workers] for i in range(n_workers)]
            for each in [pool.submit(train, share) for share in shares]:
                each.result()

        share_out(train_on_cpu, [warm_up.with_values({"training.epochs": 1})] * n_workers)
        yield share_out


def epochs_of(model: str, n_runs: int, rounds: int, device: torch.device) -> list[Cell]:
    """A row of the second table: epochs of runs that are warm."""
    images = random_images()
    configs = [report_config(model, seed, device) for seed in range(n_runs)]
    alone = _opened(configs[0], images)
    runs = [_opened(config, images) for config in configs]
    batch = TrainingBatch(runs, trace_after=0)
    work: dict[str, tuple[Callable[[], object], int]] = {
        "DataLoader": (dataloader_epoch(configs[0], images, device), 1),
        "alone": (alone.run_epoch, 1),
        "batched": (batch.run_epoch, n_runs),
    }
    in_turn(work, 1, device)
    rates = [matrix_rate(device)]
    seconds = in_turn(work, rounds, device)
    rates.append(matrix_rate(device))
    milliseconds = {way: [1000 * s for s in taken] for way, taken in seconds.items()}
    ratios = times_faster(seconds, "batched")
    rate = epoch_flops(configs[0]) / statistics.median(seconds["batched"])
    return [model, n_runs, *medians(milliseconds, WAYS), *ratios, 100 * rate / max(rates)]


def training_seconds(
    config: DigitPairsConfig, n_runs: int, rounds: int, device: torch.device
) -> float:
    """What all epochs of so many runs of a config would take as one batch, from some of them."""
    values = {"training.epochs": rounds + 1, "training.device": device.type}
    images = random_images()
    runs = []
    for seed in range(n_runs):
        seeds = {"training.training_seed": seed, "data.data_seed": seed}
        runs.append(_opened(resolve_config(config.with_values(values | seeds)), images))
    batch = TrainingBatch(runs, trace_after=0)
    first = seconds_of(batch.run_epoch, device)
    later = [seconds_of(batch.run_epoch, device) for _ in range(rounds)]
    return first + (config.training.epochs - 1) * statistics.median(later)


def configs_of(table: str) -> list[DigitPairsConfig]:
    """The configs of one of the report's tables."""
    file = load_configs(Path(space.__file__).parent / "paper" / table)
    return [cast(DigitPairsConfig, named.config) for named in file.configs]


def the_report(rounds: int, device: torch.device) -> list[list[Cell]]:
    """Rows of the third table: seconds that the report's tables and its grid would take."""
    rows: list[list[Cell]] = []
    for title, file, n_seeds in (("Table I", "table1.yaml", 10), ("Table II", "table2.yaml", 3)):
        configs = configs_of(file)
        seconds = sum(training_seconds(config, n_seeds, rounds, device) for config in configs)
        rows.append([title, n_seeds * len(configs), seconds])
    models = ("deepconvnet-aux", "siamese-aux")
    grid = [config for config in configs_of("table1.yaml") if config.model.name in models]
    seconds = sum(training_seconds(config, 10, rounds, device) for config in grid)
    rows.append(["weight grid", 10 * GRID_WEIGHTS * len(grid), seconds * GRID_WEIGHTS])
    return rows


def main(argv: list[str]) -> int:
    """Measures and prints the tables."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser = Parser(
        prog="python -m tests.benchmarks.training.batched_training", description=__doc__
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default=found)
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: by device")
    parser.add_argument("--runs", nargs="*", type=positive_int, help="of the sweep")
    parser.add_argument("--together", type=positive_int, default=10, help="of whole trainings")
    parser.add_argument("--rounds", type=positive_int, default=3)
    parser.add_argument("--threads", type=positive_int, help="default: torch's own choice")
    add_json_option(parser)
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    is_cpu = device.type == "cpu"
    models: Sequence[str] = options.models or (["mlp", "convnet"] if is_cpu else list(MODELS))
    sizes = options.runs
    if sizes is None:
        sizes = [1, 2, 4, 8, 16] if is_cpu else [1, 2, 4, 8, 16, 32]
    faster = ["DataLoader / batched", "alone / batched"]
    of_whole = [*WAYS, A_CORE] if is_cpu else list(WAYS)
    faster_whole = [f"{other} / {way}" for way in of_whole[2:] for other in WAYS[:2]]
    whole = [
        progress(partial(whole_trainings, model, options.together, options.rounds, device), model)
        for model in models
    ]
    tables = [
        Table(
            title=f"Whole trainings of {EPOCHS} epochs, seconds a run",
            columns=["model", "together", *of_whole, *faster_whole, BARE, "at the matrix rate"],
            rows=whole,
        )
    ]
    if sizes:
        rows = [
            progress(partial(epochs_of, model, n, options.rounds, device), f"{model}, {n} runs")
            for model in models
            for n in sizes
        ]
        columns = ["model", "together", *WAYS, *faster]
        tables.append(
            Table(
                title="Milliseconds an epoch a run",
                columns=[*columns, "% of matrix rate"],
                rows=rows,
            )
        )
    rounds = count(options.rounds, "round")
    notes = [f"Medians of {rounds}; a ratio is the median of the rounds' ratios."]
    if is_cpu:
        none = "There is no GPU here" if found == "cpu" else "The GPU here was left out"
        notes.append(f"{none}: all seven models at 1 to 32 runs are for one.")
    else:
        tables.append(
            Table(
                title="The report's trainings as batches, from epochs of each of their configs",
                columns=["what", "runs", "s"],
                rows=the_report(options.rounds, device),
            )
        )
    publish(
        title="Many runs trained as one batched model" + (without_avx512() if is_cpu else ""),
        module="tests.benchmarks.training.batched_training",
        argv=argv,
        tables=tables,
        notes=notes,
        json_file=options.json,
    )
    return EXIT_DONE


def progress(work: Callable[[], list[Cell]], what: str) -> list[Cell]:
    """Does some work and says on stderr what it was and how long it took."""
    started = time.perf_counter()
    row = work()
    print(f"{what}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return row


if __name__ == "__main__":
    run_command(main)
