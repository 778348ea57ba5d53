"""Training steps of the deep networks beside the machine's matrix product, on the CPU.

    python -m tests.benchmarks.training.step_rate [--models NAME ...] [--width 128] [--rounds 5]
        [--seconds 10] [--json FILE]

The first table is the rate of floating-point operations of a step and of the best square matrix
product, measured in turn in one process, since what else runs on the machine would otherwise favour
one of them, the best of both; and a step in bfloat16 where the CPU computes in it.

The second table counts the steps that the machine makes when all its threads share one trial, and
when every thread has a trial of its own, in processes, in turn.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from multiprocessing.synchronize import Barrier
from typing import cast

import torch

from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from tests.benchmarks.results import Cell, Table, add_json_option, publish, without_avx512
from tests.benchmarks.training.steps import benchmark_training, measure, padding_share
from tests.harness.configs import open_run
from trainables.device import computes_in_bfloat16
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import ModelConfig
from trainables.shipped.digit_pairs.models import MODELS, build_model

DEEP = ("deepconvnet", "resnet", "deepconvnet-aux", "siamese", "siamese-aux")
BATCH_SIZE = 50


def bfloat16_run(model: str, width: int) -> Training:
    """A run like `benchmark_training`'s whose steps are in bfloat16."""
    run = benchmark_training(model, width, BATCH_SIZE)
    config = run.config.with_values({"training.precision": "bfloat16"})
    half = cast(Training, open_run(config))
    half.shorten(1)
    return half


def best_seconds(run: Training, rounds: int) -> float:
    """The fastest of some steps."""
    taken = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        run.run_epoch()
        taken.append(time.perf_counter() - started)
    return min(taken[1:])


def step_row(model: str, width: int, rounds: int) -> list[Cell]:
    """A row of the first table."""
    found = measure(model, width, BATCH_SIZE, rounds)
    half = None
    if computes_in_bfloat16(torch.device("cpu")):
        half = best_seconds(bfloat16_run(model, width), rounds)
    return [
        model,
        found.step_flops / 1e9,
        1000 * found.step_seconds,
        found.step_gflops_per_second,
        found.gemm_gflops_per_second,
        100 * found.ratio,
        100 * found.ratio * (1 - padding_share(build_model(ModelConfig(name=model, width=width)))),
        None if half is None else 1000 * half,
        None if half is None else found.step_seconds / half,
    ]


def count_steps(
    model: str, width: int, threads: int, seconds: float, ready: Barrier, rates: list[float]
) -> None:
    """In a process of its own: how many steps a trial makes in a given time."""
    torch.set_num_threads(threads)
    run = benchmark_training(model, width, BATCH_SIZE)
    run.run_epoch()
    ready.wait()
    until = time.perf_counter() + seconds
    n_steps = 0
    while time.perf_counter() < until:
        run.run_epoch()
        n_steps += 1
    # The last step may have gone on beyond the end; what counts is the rate.
    rates.append(n_steps / (time.perf_counter() - until + seconds))


def steps_a_second(model: str, width: int, n_trials: int, threads: int, seconds: float) -> float:
    """Steps a second of some trials at once, each in a process with so many threads."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(n_trials)
    with context.Manager() as manager:
        rates = manager.list()
        arguments = (model, width, threads, seconds, ready, rates)
        processes = [context.Process(target=count_steps, args=arguments) for _ in range(n_trials)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if len(rates) != n_trials:
            raise RuntimeError("a process of the measurement failed: see above")
        return float(sum(rates))


def threads_row(model: str, width: int, n_rounds: int, seconds: float) -> list[Cell]:
    """A row of the second table."""
    threads = torch.get_num_threads()
    rates: list[tuple[float, float]] = []
    for _ in range(n_rounds):
        shared = steps_a_second(model, width, 1, threads, seconds)
        own = steps_a_second(model, width, threads, 1, seconds)
        rates.append((shared, own))
    shared_rates, own_rates = zip(*rates, strict=True)
    return [
        model,
        statistics.median(shared_rates),
        statistics.median(own_rates),
        statistics.median(own / shared for shared, own in rates),
    ]


def main(argv: list[str]) -> int:
    """Measures and prints the tables."""
    parser = Parser(prog="python -m tests.benchmarks.training.step_rate", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(DEEP))
    parser.add_argument("--width", type=positive_int, default=128)
    parser.add_argument("--rounds", type=positive_int, default=5, help="steps of each kind")
    parser.add_argument("--seconds", type=positive_int, default=10, help="a count of steps")
    parser.add_argument("--counts", type=positive_int, default=2, help="counts of each kind")
    add_json_option(parser)
    options = parser.parse_args(argv)
    threads = torch.get_num_threads()
    steps: list[list[Cell]] = []
    for model in options.models:
        steps.append(step_row(model, options.width, options.rounds))
        print(f"{model}: {steps[-1][5]:.0f} % of the matrix rate", file=sys.stderr)
    tables = [
        Table(
            title=f"A training step of {BATCH_SIZE} pairs at width {options.width}, float32",
            columns=[
                "model",
                "GFLOP a step",
                "ms a step",
                "GFLOP/s",
                "matrix GFLOP/s",
                "% of matrix rate",
                "% without padding",
                "bfloat16, ms a step",
                "float32 / bfloat16",
            ],
            rows=steps,
        )
    ]
    notes = [f"The best of {options.rounds} steps and products each; medians of the counts."]
    if threads > 1:
        tables.append(
            Table(
                title=f"Steps a second of the machine, {threads} threads",
                columns=[
                    "model",
                    f"one trial, {threads} threads",
                    f"{threads} trials, one thread each",
                    "ratio",
                ],
                rows=[
                    threads_row(model, options.width, options.counts, options.seconds)
                    for model in options.models
                ],
            )
        )
    else:
        notes.append("With one thread there are no trials side by side to compare.")
    publish(
        title=f"A training step beside the machine's matrix product{without_avx512()}",
        module="tests.benchmarks.training.step_rate",
        argv=argv,
        tables=tables,
        notes=notes,
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
