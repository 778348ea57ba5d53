"""``python -m trainables.step_benchmark``: a training step beside the machine's matrix product.

Both rates are measured in turn in one process, since what else runs on the machine would otherwise
favour one of them. Their ratio says how much of the machine the training loop uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from space.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from space.terminal.printing import say, say_json
from trainables.data.epoch_draws import draw_epoch
from trainables.data.sources import load_source
from trainables.flops import step_flops
from trainables.loop.training import Training
from trainables.models.registry import build_model, model_class
from trainables.resolve import resolve_config

__all__ = ["StepBenchmark", "matrix_products", "measure"]

GEMM_SIZES = (1024, 2048)
PRODUCTS_A_TURN = 10
"""As many as take about as long as a step of a deep network: the best of few falls short."""


@dataclass(frozen=True)
class StepBenchmark:
    """The rates of one model on one machine, on the CPU in float32."""

    model: str
    width: int
    batch_size: int
    threads: int
    torch_version: str
    step_flops: int
    """Floating-point operations of a step, forward and backward, without the optimizer's."""
    step_seconds: float
    """The best time of a step with the optimizer's."""
    step_gflops_per_second: float
    gemm_gflops_per_second: float
    """The best rate of a square matrix product."""
    ratio: float
    """The step's rate over the matrix product's."""


def measure(model: str, width: int, batch_size: int, repeats: int) -> StepBenchmark:
    """Measures a model's training step and the machine's matrix product in turn.

    The data are scikit-learn's digits: a step costs the same on any images.

    Args:
        model: A network's name.
        width: Its width.
        batch_size: Pairs a step, at most 400.
        repeats: Turns, of which the best counts.

    Returns:
        The rates.

    Raises:
        DataError: If the digits do not suffice for the batch.
        ModelError: If no network has that name.
        TrainingError: If the network cannot be trained on a batch of that size.
    """
    training = benchmark_training(model, width, batch_size)
    flops = _step_flops(training.config)
    products = [(n, each) for n in GEMM_SIZES for each in matrix_products(n, training.device)]
    training.train_epoch()
    step_seconds = [float("inf")]
    gemm_rates = [0.0]
    for _ in range(repeats):
        step_seconds.append(_seconds(training.train_epoch))
        for n, product in products * PRODUCTS_A_TURN:
            gemm_rates.append(2 * n**3 / _seconds(product) / 1e9)
    step_rate = flops / min(step_seconds) / 1e9
    return StepBenchmark(
        model=model,
        width=width,
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        torch_version=torch.__version__,
        step_flops=flops,
        step_seconds=min(step_seconds),
        step_gflops_per_second=step_rate,
        gemm_gflops_per_second=max(gemm_rates),
        ratio=step_rate / max(gemm_rates),
    )


def matrix_products(n: int, device: torch.device) -> list[Callable[[], Tensor]]:
    """The product of two square matrices by each of the libraries that networks are computed with.

    As a matrix product it is the BLAS library's, as the 1 x 1 convolution that it is, too, the
    convolution library's. Which one is faster depends on the processor: a rate that networks are
    measured by has to be the better of the two.

    Args:
        n: Rows and columns; a product takes 2 n**3 floating-point operations.
        device: Where.

    Returns:
        Functions that compute it, each warm.
    """
    a_NN, b_NN = torch.rand(n, n, device=device), torch.rand(n, n, device=device)
    as_image = a_NN.t().reshape(1, n, n, 1).contiguous(memory_format=torch.channels_last)
    kernels = b_NN.t().reshape(n, n, 1, 1)
    products: list[Callable[[], Tensor]] = [
        partial(torch.mm, a_NN, b_NN),
        partial(F.conv2d, as_image, kernels),
    ]
    for product in products:
        product()
    return products


def benchmark_training(model: str, width: int, batch_size: int) -> Training:
    """A run on the digits whose epoch is exactly one step.

    Args:
        model: A network's name.
        width: Its width.
        batch_size: Pairs a step, at most 400.

    Returns:
        The run, on the CPU.

    Raises:
        DataError: If the digits do not suffice for the batch.
        ModelError: If no network has that name.
        TrainingError: If the network cannot be trained on a batch of that size.
    """
    model_class(model)
    n_train_pairs = batch_size + max(1, batch_size // 2)
    config = resolve_config(
        RunConfig(
            data=DataConfig(
                source="digits",
                n_train_pairs=n_train_pairs,
                validation_fraction=1 - batch_size / n_train_pairs,
            ),
            model=ModelConfig(name=model, width=width),
            training=TrainingConfig(batch_size=batch_size, device="cpu"),
        )
    )
    return Training(config, load_source(config.data, "train"), torch.device("cpu"))


def _step_flops(config: RunConfig) -> int:
    """The count for two pairs, scaled: it is linear in the batch."""
    model = build_model(config.model, seed=0)
    draws = draw_epoch(torch.Generator(), 2, augment=False, dropouts=model.dropouts())
    for dropout, keep_PRF in zip(model.dropouts(), draws.keep_PRF, strict=True):
        dropout.keep_NF = keep_PRF.flatten(0, 1)
    return step_flops(model, 2) * config.training.batch_size // 2


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m trainables.step_benchmark",
        description="Measure a training step and the machine's matrix product, on the CPU.",
        examples=("", "--model mlp --width 32 --threads 1"),
    )
    number: dict[str, Any] = {"type": positive_int, "metavar": "N"}
    add = parser.add_argument
    add("--model", default="siamese-aux", metavar="NAME", help="default: siamese-aux")
    add("--width", **number, default=128, help="default: 128")
    add("--batch-size", **number, default=50, help="pairs a step; default: 50")
    add("--repeats", **number, default=5, help="turns; default: 5")
    add("--threads", **number, help="default: torch's own choice")
    add("--json", action="store_true", help="print JSON")
    return parser


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: Its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: What the user can mend.
    """
    options = build_parser().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    result = asdict(measure(options.model, options.width, options.batch_size, options.repeats))
    if options.json:
        say_json(result)
    else:
        for key, value in result.items():
            say(f"{key:24}{_cell(value)}")
    return EXIT_DONE


def _cell(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run_command(main)
