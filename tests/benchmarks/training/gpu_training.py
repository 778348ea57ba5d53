"""All networks batched beside alone on a GPU, in every precision, and the device's matrix rate.

    python -m tests.benchmarks.training.gpu_training [--models mlp convnet] [--runs 1 2 4 8 16 32]
        [--precisions float32 tf32 bfloat16] [--window 0.25] [--budget 200] [--device cpu|cuda]
        [--width 128] [--json FILE]

Each cell is a batch of runs at the report's settings, width 128 and batches of 50 pairs, on images
drawn at random: warmed up until whatever is captured is captured, then timed epoch by epoch for a
short window, of which the fastest epoch counts. An epoch is 18 steps and a validation, or 3 where
18 would take too long; all that it does on the host is in its time.

The matrix rate is that of the best large square product in the same precision, in the same process,
and the share compares floating-point operations, without those on padding, at it. The file is
written anew after each cell, so that it has what was measured whenever the command ends; a cell
that is not begun within the budget, or does not fit in memory, says so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from space.words import count
from tests.benchmarks.results import (
    Cell,
    Growing,
    Table,
    add_json_option,
    draw_result,
    make_result,
)
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
from trainables.device import device_settings, free_memory
from trainables.failures import OutOfMemoryFailure, out_of_memory_translated
from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import (
    DigitPairsConfig,
    PairTrainingConfig,
)
from trainables.shipped.digit_pairs.flops import forward_flops
from trainables.shipped.digit_pairs.models import MODELS, build_model
from trainables.shipped.digit_pairs.resolve import resolve_config

PRECISIONS: dict[str, dict[str, Any]] = {
    "float32": {},
    "tf32": {"training.tf32": True},
    "bfloat16": {"training.precision": "bfloat16"},
}
STEPS = 18
FEW_STEPS = 3
LONG = 0.1
"""Seconds: where so few steps take longer, an epoch has no more."""


@dataclass(frozen=True)
class Case:
    """What is timed."""

    model: str
    width: int
    precision: str
    n_runs: int

    def config(self, seed: int, device: torch.device) -> DigitPairsConfig:
        """The config of one of its runs, with more epochs than are timed."""
        config = report_config(self.model, seed, device, 100_000)
        values = {"model.width": self.width, **PRECISIONS[self.precision]}
        return resolve_config(config.with_values(values))

    def __str__(self) -> str:
        return f"{self.model}, {self.precision}, {count(self.n_runs, 'run')}"


@dataclass(frozen=True)
class Timed:
    """What was found of a case."""

    step_seconds: float
    """Of one step of all its runs, with its share of all that an epoch does."""
    flops_a_second: float
    peak_gib: float | None
    captured: bool


def measure(case: Case, images: SplitData, device: torch.device, window: float) -> Timed:
    """Times one case.

    Raises:
        OutOfMemoryFailure: If it does not fit in the device's memory.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    configs = [case.config(seed, device) for seed in range(case.n_runs)]
    runs = [cast(Training, open_run(config, images)) for config in configs]
    batch = _warm(runs, FEW_STEPS)
    if seconds_of(batch.run_epoch, device) < LONG:
        whole = [cast(Training, open_run(config, images)) for config in configs]
        batch = _warm(whole, STEPS)
    times: list[float] = []
    while len(times) < 2 or sum(times) < window:
        times.append(seconds_of(batch.run_epoch, device))
    run = batch.runs[0]
    n_steps = run.n_steps
    model = build_model(configs[0].model)
    n_pairs, n_validated = n_steps * configs[0].training.batch_size, len(run.parts["val"]["x"])
    flops = n_pairs * step_flops(model, 2) / 2 + n_validated * forward_flops(model)
    flops *= (1 - padding_share(model)) * case.n_runs
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    is_captured = device.type == "cuda" and not batch.warnings
    return Timed(min(times) / n_steps, flops / min(times), peak, is_captured)


def _warm(runs: Sequence[Training], n_steps: int) -> TrainingBatch:
    """A batch of short epochs after so many that all its work is captured or traced."""
    for run in runs:
        run.shorten(n_steps)
    batch = TrainingBatch(runs, trace_after=0)
    for _ in range(2):
        batch.run_epoch()
    return batch


def matrix_rate(precision: str, device: torch.device) -> float:
    """Floating-point operations a second of the best of some large square products."""
    n = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    with device_settings(PairTrainingConfig(tf32=precision == "tf32"), device):
        products = matrix_products(n, device, dtype)
        seconds = min(seconds_of(each, device) for _ in range(8) for each in products)
    return 2 * n**3 / seconds


def rows_of(
    cases: Sequence[Case], rates: dict[str, float], device: torch.device, ends: float, window: float
) -> Iterator[list[Cell]]:
    """A row a case, as they are measured."""
    images = random_images()
    alone: dict[tuple[str, str], float] = {}
    for case in cases:
        row: list[Cell] = [case.model, case.precision, case.n_runs]
        started = time.perf_counter()
        if started > ends:
            yield [*row, *[None] * 6, "the time was over"]
            continue
        try:
            with out_of_memory_translated(case.model):
                found = measure(case, images, device, window)
        except OutOfMemoryFailure as failure:
            why: str | None = str(failure)
        else:
            why = None
        free_memory()
        if why is not None:
            yield [*row, *[None] * 6, why]
            continue
        a_run = found.step_seconds / case.n_runs
        if case.n_runs == 1:
            alone[case.model, case.precision] = a_run
        of_alone = alone.get((case.model, case.precision))
        yield [
            *row,
            1000 * found.step_seconds,
            1000 * a_run,
            None if of_alone is None else of_alone / a_run,
            found.flops_a_second / 1e12,
            100 * found.flops_a_second / rates[case.precision],
            found.peak_gib,
            "captured" if found.captured else "",
        ]
        print(f"{case}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


COLUMNS = [
    "model",
    "precision",
    "runs",
    "ms a step",
    "ms a step a run",
    "alone / batched",
    "TFLOP/s",
    "% of matrix rate",
    "GiB at most",
    "note",
]


def main(argv: list[str]) -> int:
    """Measures, and writes the tables as they grow."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser = Parser(prog="python -m tests.benchmarks.training.gpu_training", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default=found)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--width", type=positive_int, default=128)
    parser.add_argument("--runs", nargs="+", type=positive_int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS), help="of a step"
    )
    parser.add_argument("--window", type=float, default=0.25, help="seconds timed a cell")
    parser.add_argument("--budget", type=float, default=200, help="seconds in which to begin cells")
    add_json_option(parser)
    options = parser.parse_args(argv)
    ends = time.perf_counter() + options.budget
    device = torch.device(options.device)
    rates = {each: matrix_rate(each, device) for each in options.precisions}
    of_rates = Table(
        title="Matrix rate",
        columns=["precision", "TFLOP/s"],
        rows=[[name, rate / 1e12] for name, rate in rates.items()],
    )
    # What matters most comes first, in case the time is over.
    cases = [
        Case(model, options.width, precision, n_runs)
        for precision in options.precisions
        for model in options.models
        for n_runs in options.runs
    ]
    result = make_result(
        title="All networks batched beside alone on a GPU",
        module="tests.benchmarks.training.gpu_training",
        argv=argv,
        tables=[of_rates],
        notes=["The fastest epoch of a short window, after all is captured."],
    )
    title = f"A step of 50 pairs at width {options.width}"
    table = Growing(result, title, COLUMNS, options.json)
    for row in rows_of(cases, rates, device, ends, options.window):
        table.add(row)
    draw_result(table.result)
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
