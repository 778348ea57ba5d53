"""What batched layers leave to gain: their products and Adam, and nothing else.

    python -m tests.benchmarks.training.bare_products [--runs 5] [--rounds 20] [--json FILE]

The products of one batched step of the MLP and of the ConvNet at the report's settings, each on its
own, beside a square matrix product: what share of the matrix rate a step could have if all that is
between its products took no time. Then the MLP's products in other layouts: one after another run
by run; with one product for the first layers of all runs, as could be where runs see the same
samples in the same order; and both in bfloat16. At last what a step of the ConvNet asks for beside
its products, operator by operator.

One thread, and its processor time, of which the least counts: what else the machine does takes
turns with it but is not in its time.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from tests.benchmarks.results import Cell, Table, add_json_option, publish, without_avx512
from tests.benchmarks.training.steps import BatchedStep, random_images, report_config
from tests.harness.configs import open_run
from trainables.loop.traced import TracedFunction
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.models import build_model

__all__ = ["train_bare"]

N_TRAINED = 900
N_VALIDATED = 100
"""Pairs of an epoch."""

aten = torch.ops.aten
_PRODUCTS = {
    each.default
    for each in (
        aten.mm,
        aten.addmm,
        aten.bmm,
        aten.baddbmm,
        aten.convolution,
        aten.convolution_backward,
    )
}


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the products that are computed while it is active, with the memory that they read."""

    def __init__(self) -> None:
        """None is noted yet."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Computes whatever it is; see `TorchDispatchMode`."""
        if func in _PRODUCTS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def repeat(self) -> None:
        """Computes the products again."""
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what every operator takes that is computed while it is active."""

    def __init__(self) -> None:
        """None was computed yet."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_calls: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Computes whatever it is; see `TorchDispatchMode`."""
        started = time.process_time()
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        self.seconds[name] += time.process_time() - started
        self.n_calls[name] += 1
        return result


def products_of(
    configs: Sequence[DigitPairsConfig],
) -> tuple[BatchedStep, Products, Products, Sequence[Sequence[Tensor | None]]]:
    """A batched step, its products, those of its evaluation, and each run's gradients."""
    images = random_images()
    step = BatchedStep([cast(Training, open_run(config, images)) for config in configs])
    with torch.no_grad():
        with Products() as trained:
            _, gradients = step.network.train(step.key_R, *step.rows)
        with Products() as validated:
            step.network.evaluate(step.key_R, *step.rows)
    return step, trained, validated, gradients


def train_bare(configs: Sequence[DigitPairsConfig]) -> None:
    """Whole trainings as one batch, without all that is between the products.

    No pairs are drawn or put together, no activation, loss, error or normalisation is computed:
    what is left are the products of a batched training, over its own memory, and Adam's steps.

    Args:
        configs: Runs of one network, which are trained on the CPU.
    """
    training = configs[0].training
    step, trained, validated, gradients = products_of(configs)
    with torch.inference_mode():
        for epoch in range(1, training.epochs + 1):
            for optimizer in step.optimizers:
                optimizer.begin(epoch)
            for _ in range(N_TRAINED // training.batch_size):
                trained.repeat()
                for optimizer, of_run in zip(step.optimizers, gradients, strict=True):
                    optimizer.step(of_run)
            for _ in range(N_VALIDATED // training.batch_size):
                validated.repeat()


def least_seconds(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least processor time of each, in turn."""
    least = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for name, do in work.items():
            do()
            started = time.process_time()
            do()
            least[name] = min(least[name], time.process_time() - started)
    return least


def product_rows(model: str, n_runs: int, rounds: int) -> list[list[Cell]]:
    """Rows of the first table: every product of a step, and what they and the whole step take."""
    configs = [report_config(model, seed, torch.device("cpu"), 10_000) for seed in range(n_runs)]
    _, trained, _, _ = products_of(configs)
    n = 1024
    a_NN, b_NN = torch.randn(n, n), torch.randn(n, n)
    work: dict[str, Callable[[], object]] = {"matrix": lambda: a_NN @ b_NN}
    flops: dict[str, float] = {"matrix": 2 * n**3}
    for i, (func, args, kwargs) in enumerate(trained.calls, start=1):
        name = f"{i} {func._schema.name.removeprefix('aten::')}"
        work[name] = partial(func, *args, **kwargs)
        flops[name] = _flops(func, args)
    images = random_images()
    runs = [cast(Training, open_run(config, images)) for config in configs]
    whole = BatchedStep(runs, partial(TracedFunction, trace_after=0))
    work["the whole step"] = lambda: whole(whole.key_R, *whole.rows)
    with torch.no_grad():
        seconds = least_seconds(work, rounds)
    rate = flops["matrix"] / seconds.pop("matrix")
    flops.pop("matrix")
    seconds["all products"] = sum(seconds[name] for name in flops)
    flops["all products"] = flops["the whole step"] = sum(flops.values())
    return [
        [model, name, 1000 * taken, flops[name] / taken / 1e9, 100 * flops[name] / taken / rate]
        for name, taken in seconds.items()
    ]


def operator_rows(model: str, n_runs: int, rounds: int) -> list[list[Cell]]:
    """Rows of the last table: the operators of a step that take a fiftieth of it, and the rest."""
    configs = [report_config(model, seed, torch.device("cpu"), 10_000) for seed in range(n_runs)]
    images = random_images()
    step = BatchedStep([cast(Training, open_run(config, images)) for config in configs])
    found = []
    with torch.no_grad():
        for _ in range(rounds):
            with Operators() as operators:
                step(step.key_R, *step.rows)
            found.append(operators)
    n_calls = found[-1].n_calls
    least = {name: min(each.seconds[name] for each in found) for name in n_calls}
    whole = sum(least.values())
    most = [name for name in sorted(least, key=least.__getitem__)[::-1] if least[name] > whole / 50]
    groups = {name: [name] for name in most}
    groups["all others"] = [name for name in least if name not in most]
    rows: list[list[Cell]] = []
    for label, names in groups.items():
        taken = sum(least[name] for name in names)
        n = sum(n_calls[name] for name in names)
        rows.append([model, label, n, 1000 * taken, 100 * taken / whole])
    return rows


def _flops(func: Any, args: tuple[Any, ...]) -> float:
    """Operations of a product, with those on padding; of a convolution's backward its weights'."""
    if func is aten.convolution_backward.default:
        gradient, _, weight, *_ = args
        return float(2 * gradient.numel() * weight[0].numel())
    result = func(*args)
    if func is aten.convolution.default:
        return float(2 * result.numel() * args[1][0].numel())
    return float(2 * result.numel() * args[-2].shape[-1])


def layout_rows(n_runs: int, rounds: int) -> list[list[Cell]]:
    """Rows of the second table: the MLP's products of a step in some layouts."""
    linears = [
        (each.in_features, each.out_features)
        for each in build_model(ModelConfig(name="mlp")).modules()
        if isinstance(each, nn.Linear)
    ]
    size = 50
    multiplied = 3 * sum(i * o for i, o in linears) - linears[0][0] * linears[0][1]
    n = 1024
    a_NN, b_NN = torch.randn(n, n), torch.randn(n, n)
    work: dict[str, Callable[[], object]] = {"matrix": lambda: a_NN @ b_NN}
    for dtype, kind in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        layers = [
            (
                torch.randn(n_runs, size, n_in).to(dtype),
                torch.randn(n_runs, n_out, n_in).to(dtype),
                torch.randn(n_runs, size, n_out).to(dtype),
            )
            for n_in, n_out in linears
        ]
        work[f"a product for all runs, {kind}"] = partial(_stacked, layers)
        work[f"run by run, {kind}"] = partial(_run_by_run, layers)
        work[f"first layers as one, {kind}"] = partial(_first_as_one, layers)
    seconds = least_seconds(work, rounds)
    rate = 2 * n**3 / seconds.pop("matrix")
    flops = 2 * n_runs * size * multiplied
    stacked = seconds["a product for all runs, float32"]
    return [
        [name, 1000 * taken, flops / taken / 1e9, 100 * flops / taken / rate, stacked / taken]
        for name, taken in seconds.items()
    ]


_Layers = Sequence[tuple[Tensor, Tensor, Tensor]]
"""Inputs (R, N, I), weights (R, O, I) and gradients of the outputs (R, N, O) of each layer."""


def _stacked(layers: _Layers) -> None:
    for i, (x_RNI, weight_ROI, g_RNO) in enumerate(layers):
        torch.bmm(x_RNI, weight_ROI.mT)
        torch.bmm(g_RNO.mT, x_RNI)
        if i > 0:
            torch.bmm(g_RNO, weight_ROI)


def _run_by_run(layers: _Layers) -> None:
    for i, layer in enumerate(layers):
        for x_NI, weight_OI, g_NO in zip(*layer, strict=True):
            torch.mm(x_NI, weight_OI.mT)
            torch.mm(g_NO.mT, x_NI)
            if i > 0:
                torch.mm(g_NO, weight_OI)


def _first_as_one(layers: _Layers) -> None:
    x_RNI, weight_ROI, g_RNO = layers[0]
    torch.mm(x_RNI[0], weight_ROI.flatten(0, 1).mT)
    torch.mm(g_RNO.view(g_RNO.shape[1], -1).mT, x_RNI[0])
    for x_RNI, weight_ROI, g_RNO in layers[1:]:
        torch.bmm(x_RNI, weight_ROI.mT)
        torch.bmm(g_RNO.mT, x_RNI)
        torch.bmm(g_RNO, weight_ROI)


def main(argv: list[str]) -> int:
    """Measures and prints the tables."""
    parser = Parser(prog="python -m tests.benchmarks.training.bare_products", description=__doc__)
    parser.add_argument("--runs", type=positive_int, default=5, help="trained as one")
    parser.add_argument("--rounds", type=positive_int, default=20)
    add_json_option(parser)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows: list[list[Cell]] = []
    for model in ("mlp", "convnet"):
        rows += product_rows(model, options.runs, options.rounds)
        print(f"{model}: {rows[-1][-1]:.0f} % of the matrix rate", file=sys.stderr)
    publish(
        title=f"The products of a batched step{without_avx512()}",
        module="tests.benchmarks.training.bare_products",
        argv=argv,
        tables=[
            Table(
                title=f"A step of {options.runs} runs of 50 pairs at width 128",
                columns=["model", "product", "ms", "GFLOP/s", "% of matrix rate"],
                rows=rows,
            ),
            Table(
                title=f"The MLP's products of a step of {options.runs} runs",
                columns=["layout", "ms", "GFLOP/s", "% of matrix rate", "times faster"],
                rows=layout_rows(options.runs, options.rounds),
            ),
            Table(
                title=f"The operators of a step of {options.runs} runs, asked for one by one",
                columns=["model", "operator", "calls", "ms", "% of the step"],
                rows=operator_rows("convnet", options.runs, options.rounds),
            ),
        ],
        notes=[
            f"The least processor time of {options.rounds} on one thread; floating-point "
            "operations with those on padding."
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
