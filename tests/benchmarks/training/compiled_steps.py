"""A batched step asked for one operator at a time, as our CUDA graph, and by torch.compile.

    python -m tests.benchmarks.training.compiled_steps [--models mlp convnet] [--runs 10]
        [--width 128] [--precision float32|bfloat16] [--steps 50] [--budget 150]
        [--device cpu|cuda] [--json FILE]

Each way computes the same batched step of 50 pairs: losses and gradients of all runs, then the
optimizers' steps. The compiled way is ``torch.compile(mode="reduce-overhead")`` over the flat list
of operators that the gradients come to, since what finds them (`torch.vmap`, autograd, our rules)
is no matter for a compiler; its optimizers' steps are asked for one by one. So the gradients alone
are timed, too. "Seconds until warm" is what a way costs before its first fast step, whenever a
layout is new.

On a CPU, where runs are never captured, it is a run alone as it is trained, or several traced, that
is measured beside the compiled step; in CPU time of one thread, which others' work on the machine
changes little.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from tests.benchmarks.results import (
    Cell,
    Growing,
    add_json_option,
    draw_result,
    make_result,
)
from tests.benchmarks.training.gpu_training import Case
from tests.benchmarks.training.steps import BatchedStep, random_images, seconds_of
from tests.harness.configs import open_run
from trainables.device import device_settings
from trainables.loop.captured import CapturedWork, CudaGraphs
from trainables.loop.network import AloneNetwork, RunLoss
from trainables.loop.samples import rows_of, side_by_side
from trainables.loop.together import options_of
from trainables.loop.traced import TracedFunction, copies_of
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.models import MODELS

COLUMNS = [
    "model",
    "precision",
    "runs",
    "way",
    "gradients",
    "whole step",
    "seconds until warm",
    "note",
]
WAYS = ("one by one", "captured", "compiled")
CPU_WAYS = ("as trained", "compiled")


class _AloneStep:
    """A step of one run as the loop makes it, again and again on the same samples."""

    def __init__(self, run: Training) -> None:
        loss = RunLoss(run.task, run.network, run.config.training)
        self.network = AloneNetwork(loss, list(run.parts["train"]), options_of([run]))
        self._optimizer = run.optimizer
        samples, keys_T = run.begin_epoch()
        self.key_R = keys_T[:1]
        self.rows = next(rows_of(side_by_side([samples]), run.config.training.batch_size))

    def __call__(self, key_R: Tensor, *rows: Tensor) -> None:
        """Makes the step."""
        self._optimizer.step(self.network.train(key_R, *rows)[1][0])


def _seconds_of(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        return seconds_of(work, device)
    started = time.process_time()
    work()
    return time.process_time() - started


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The operators of a function, compiled at its first call."""
    found: list[Callable[..., Any]] = []

    def call(*tensors: Tensor) -> Any:
        if not found:
            module = make_fx(function)(*copies_of(tensors))
            found.append(torch.compile(module, mode="reduce-overhead"))
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return found[0](*tensors)

    return call


def works_of(
    way: str, case: Case, device: torch.device
) -> tuple[BatchedStep | _AloneStep, list[Callable[..., object]], list[str]]:
    """A step of some runs in one of the ways: its gradients alone, and the whole; and warnings."""
    images = random_images()
    configs = [case.config(seed, device) for seed in range(case.n_runs)]
    runs = [cast(Training, open_run(config, images)) for config in configs]
    warnings: list[str] = []
    if way == "compiled":
        step = BatchedStep(runs, _compiled)
        # Else it would see inputs that change in place, and refuse to use graphs.
        for tensor in step.network.stack.tensors.values():
            torch._dynamo.mark_static_address(tensor)
        return step, [step.network.train, step], warnings
    if way == "as trained":
        as_trained = (
            _AloneStep(runs[0])
            if len(runs) == 1
            else BatchedStep(runs, lambda function: TracedFunction(function, trace_after=1))
        )
        return as_trained, [as_trained.network.train, as_trained], warnings
    step = BatchedStep(runs)
    works: list[Callable[..., object]] = [step.network.train, step]
    if way == "captured":
        graphs = CudaGraphs()
        step(step.key_R, *step.rows)  # A capture wants warm libraries.
        works = [CapturedWork(work, dict, capture=graphs, warn=warnings.append) for work in works]
    return step, works, warnings


def step_row(way: str, case: Case, device: torch.device, n_steps: int) -> list[Cell]:
    """A row: milliseconds of a step, and what it took to get there."""
    config = case.config(0, device)
    with torch.no_grad(), device_settings(config.training, device):
        step, works, warnings = works_of(way, case, device)
        found: list[float] = []
        warm = 0.0
        for work in works:

            def steps(n: int, work: Callable[..., object] = work) -> None:
                for _ in range(n):
                    work(step.key_R, *step.rows)

            def few(steps: Callable[[int], None] = steps) -> None:
                steps(3)

            def many(steps: Callable[[int], None] = steps) -> None:
                steps(n_steps)

            warm += seconds_of(few, device)
            found.append(min(_seconds_of(many, device) for _ in range(3)) / n_steps)
    return [
        case.model,
        case.precision,
        case.n_runs,
        way,
        *[1000 * each for each in found],
        warm,
        "; ".join(warnings),
    ]


def _not_measured(case: Case, way: str, why: str) -> list[Cell]:
    return [case.model, case.precision, case.n_runs, way, None, None, None, why]


def main(argv: list[str]) -> int:
    """Measures, and writes the table as it grows."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser = Parser(prog="python -m tests.benchmarks.training.compiled_steps", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default=found)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--width", type=positive_int, default=128)
    parser.add_argument("--runs", nargs="+", type=positive_int, default=[10])
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--steps", type=positive_int, default=50, help="timed at once")
    parser.add_argument("--budget", type=float, default=150, help="seconds in which to begin cells")
    add_json_option(parser)
    options = parser.parse_args(argv)
    device = torch.device(options.device)
    ways: Sequence[str] = WAYS if device.type == "cuda" else CPU_WAYS
    if device.type == "cpu":
        torch.set_num_threads(1)
    ends = time.perf_counter() + options.budget
    result = make_result(
        title="A batched step captured and compiled"
        if device.type == "cuda"
        else "A batched step compiled, on a CPU",
        module="tests.benchmarks.training.compiled_steps",
        argv=argv,
        notes=[
            "The best of three times so many steps"
            + ("." if device.type == "cuda" else ", in CPU time of one thread; until warm: wall.")
        ],
    )
    table = Growing(
        result, f"A step of 50 pairs at width {options.width}, milliseconds", COLUMNS, options.json
    )
    for model in options.models:
        for n_runs in options.runs:
            case = Case(model, options.width, options.precision, n_runs)
            for way in ways:
                started = time.perf_counter()
                if started > ends:
                    table.add(_not_measured(case, way, "the time was over"))
                    continue
                try:
                    row = step_row(way, case, device, options.steps)
                except Exception as error:  # noqa: BLE001 - what a compiler refuses is a result
                    said = f"{type(error).__name__}: {error}".partition("\n")[0]
                    row = _not_measured(case, way, said[:200])
                torch.compiler.reset()
                taken = time.perf_counter() - started
                print(f"{case}, {way}: {taken:.1f} s", file=sys.stderr, flush=True)
                table.add(row)
    draw_result(table.result)
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
