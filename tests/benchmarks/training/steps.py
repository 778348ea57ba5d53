"""A training step's time and operations, and the machine's matrix product measured beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.harness.configs import open_run
from trainables.contract.split_data import SplitData
from trainables.contract.stacked import stacked_options
from trainables.loop.network import RunLoss, RunsFunctions, RunsNetwork, build_network
from trainables.loop.samples import rows_of, side_by_side
from trainables.loop.together import options_of
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import (
    DataConfig,
    DigitPairsConfig,
    ModelConfig,
    PairTrainingConfig,
)
from trainables.shipped.digit_pairs.data.images import SIDE
from trainables.shipped.digit_pairs.flops import forward_flops
from trainables.shipped.digit_pairs.losses import pair_loss
from trainables.shipped.digit_pairs.models.base import PairModel
from trainables.shipped.digit_pairs.models.registry import build_model, model_class
from trainables.shipped.digit_pairs.resolve import resolve_config

__all__ = [
    "BatchedStep",
    "benchmark_training",
    "matrix_products",
    "measure",
    "padding_share",
    "random_images",
    "report_config",
    "seconds_of",
    "step_flops",
]

GEMM_SIZES = (1024, 2048)
PRODUCTS_A_TURN = 10
"""As many as take about as long as a step of a deep network: the best of few falls short."""


@dataclass(frozen=True)
class StepRate:
    """The rates of one model on one machine, on the CPU in float32."""

    step_flops: int
    """Floating-point operations of a step, forward and backward, without the optimizer's."""
    step_seconds: float
    """The best time of a step with the optimizer's."""
    step_gflops_per_second: float
    gemm_gflops_per_second: float
    """The best rate of a square matrix product."""
    ratio: float
    """The step's rate over the matrix product's."""


def measure(model: str, width: int, batch_size: int, repeats: int) -> StepRate:
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
    flops = _step_flops(cast(DigitPairsConfig, training.config))
    products = [(n, each) for n in GEMM_SIZES for each in matrix_products(n, training.device)]
    training.run_epoch()
    step_seconds = [float("inf")]
    gemm_rates = [0.0]
    for _ in range(repeats):
        step_seconds.append(seconds_of(training.run_epoch, training.device))
        for n, product in products * PRODUCTS_A_TURN:
            gemm_rates.append(2 * n**3 / seconds_of(product, training.device) / 1e9)
    step_rate = flops / min(step_seconds) / 1e9
    return StepRate(
        step_flops=flops,
        step_seconds=min(step_seconds),
        step_gflops_per_second=step_rate,
        gemm_gflops_per_second=max(gemm_rates),
        ratio=step_rate / max(gemm_rates),
    )


def matrix_products(
    n: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> list[Callable[[], Tensor]]:
    """The product of two square matrices by each of the libraries that networks are computed with.

    As a matrix product it is the BLAS library's, as the 1 x 1 convolution that it is, too, the
    convolution library's. Which one is faster depends on the processor: a rate that networks are
    measured by has to be the better of the two.

    Args:
        n: Rows and columns; a product takes 2 n**3 floating-point operations.
        device: Where.
        dtype: In which numbers.

    Returns:
        Functions that compute it, each warm.
    """
    a_NN, b_NN = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    as_image = a_NN.t().reshape(1, n, n, 1).contiguous(memory_format=torch.channels_last)
    kernels = b_NN.t().reshape(n, n, 1, 1)
    products: list[Callable[[], Tensor]] = [
        partial(torch.mm, a_NN, b_NN),
        partial(F.conv2d, as_image, kernels),
    ]
    for product in products:
        product()
    return products


def random_images() -> SplitData:
    """As many images as 1,000 pairs take."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2000, SIDE, SIDE, generator=generator) * 255
    labels = torch.randint(10, (2000,), generator=generator)
    return SplitData.build("mnist", "train", {"image": images, "label": labels})


def report_config(
    model: str, seed: int, device: torch.device, epochs: int = 10_000
) -> DigitPairsConfig:
    """The report's settings, by default for more epochs than are timed."""
    training = PairTrainingConfig(epochs=epochs, training_seed=seed, weight_decay=1e-4)
    data = DataConfig(source="mnist", data_seed=seed)
    config = DigitPairsConfig(data=data, model=ModelConfig(name=model), training=training)
    return resolve_config(config.with_values({"training.device": device.type}))


class BatchedStep:
    """One batched step, again and again on the same samples."""

    def __init__(
        self,
        runs: Sequence[Training],
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function,
    ) -> None:
        """
        Args:
            runs: The runs, alike; their networks become parts of one.
            wrap: Makes of the function that gives their losses and gradients the one to be called.
        """
        first = runs[0]
        loss = RunLoss(
            first.task, build_network(first.task, 0, first.device), first.config.training
        )
        names, stacked = list(first.parts["train"]), stacked_options(first.task.options)
        functions = RunsFunctions(loss, names, stacked, wrap)
        networks = [run.network for run in runs]
        self.network = RunsNetwork(functions, networks, options_of(runs))
        self.optimizers = [run.optimizer for run in runs]
        samples, keys = zip(*(run.begin_epoch() for run in runs), strict=True)
        self.key_R = torch.stack(keys, dim=1)[0]
        self.rows = next(rows_of(side_by_side(samples), first.config.training.batch_size))

    def __call__(self, key_R: Tensor, *rows: Tensor) -> None:
        """Makes the step."""
        _, of_runs = self.network.train(key_R, *rows)
        for optimizer, gradients in zip(self.optimizers, of_runs, strict=True):
            optimizer.step(gradients)


def benchmark_training(model: str, width: int, batch_size: int) -> Training:
    """A run on the digits whose epoch is exactly one step, with one pair to validate.

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
        DigitPairsConfig(
            data=DataConfig(
                source="digits",
                n_train_pairs=n_train_pairs,
                validation_fraction=1 - batch_size / n_train_pairs,
            ),
            model=ModelConfig(name=model, width=width),
            training=PairTrainingConfig(epochs=10_000, batch_size=batch_size, device="cpu"),
        )
    )
    run = cast(Training, open_run(config))
    run.shorten(1)
    return run


def _step_flops(config: DigitPairsConfig) -> int:
    """The count for two pairs, scaled: it is linear in the batch."""
    model = build_model(config.model)
    return step_flops(model, 2) * config.training.batch_size // 2


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall seconds, with all that the device still has to do."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def step_flops(model: PairModel, batch_size: int) -> int:
    """The operations of one training step, forward and backward.

    Args:
        model: The network, on the CPU, in training mode. Its running
            statistics take part in the step, and its gradients are dropped.
        batch_size: Pairs in the step.

    Returns:
        Multiplications and additions of its convolutions and matrix products, as torch counts them.
    """
    with FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(batch_size, 2, SIDE, SIDE))
        classes_N2 = torch.zeros(batch_size, 2, dtype=torch.int64)
        pair_loss(output, classes_N2, classes_N2[:, 0], 0.5).backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def padding_share(model: PairModel) -> float:
    """The share of a forward pass's multiplications whose factor is a convolution's padding.

    The counts above include them, while a library need not compute them. In a backward pass, as
    many have the padding's gradient as a result or the padding as a factor.

    Args:
        model: The network, on the CPU; its convolutions have stride 1 and no dilation.

    Returns:
        A number between 0 and 1.
    """
    of_padding = 0.0

    def count(conv: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal of_padding
        if isinstance(conv.padding, str):
            raise TypeError("the padding must be given in pixels")
        seen = 1.0
        for dim, (kernel, padding) in enumerate(zip(conv.kernel_size, conv.padding, strict=True)):
            size, n_outputs = inputs[0].shape[2 + dim], output.shape[2 + dim]
            starts = range(-padding, n_outputs - padding)
            within = sum(min(start + kernel, size) - max(start, 0) for start in starts)
            seen *= within / (n_outputs * kernel)
        multiplications = output.numel() * conv.weight[0].numel()
        of_padding += 2 * multiplications * (1 - seen)

    hooks: list[Any] = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        total = forward_flops(model)
    finally:
        for hook in hooks:
            hook.remove()
    return of_padding / total
