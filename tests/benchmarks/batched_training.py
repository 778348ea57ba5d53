"""Runs trained as one batched model, beside one after another and beside a DataLoader loop.

    python -m tests.benchmarks.batched_training [--models mlp convnet] [--runs 1 2 4 8 10 16]
        [--rounds 5] [--threads N] [--device cpu|cuda] [--json]

What is timed is an epoch with its validation at the report's settings: width 128, batches of 50,
900 training and 100 validation pairs, on images drawn at random, as a step costs the same on any.
In every round each way trains its epochs in turn, so that whatever else the machine does meets all
of them; a row holds the medians for one run. The DataLoader loop is the ordinary PyTorch way: a
data set of tensors a sample, batches shuffled and put together by a DataLoader, torch's Adam as it
comes.

The last column is the rate of floating-point operations as a share of that of the device's best
square matrix product in float32. On a GPU all seven models are swept from 1 to 32 runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from space.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from trainables.batched import TrainingBatch
from trainables.epoch_draws import draw_epoch
from trainables.flops import forward_flops, step_flops
from trainables.image_set import SIDE, ImageSet
from trainables.losses import n_wrong, pair_loss
from trainables.models import MODELS, build_model
from trainables.pairs import Pairs, draw_train_validation
from trainables.resolve import resolve_config
from trainables.training import Training

WAYS = ("DataLoader", "alone", "batched")


def random_images() -> ImageSet:
    """As many images as 1,000 pairs take."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2000, SIDE, SIDE, generator=generator) * 255
    return ImageSet.build("mnist", "train", images, torch.randint(10, (2000,), generator=generator))


def make_config(model: str, seed: int, device: torch.device) -> RunConfig:
    """The report's settings, for more epochs than are timed."""
    training = TrainingConfig(
        epochs=10_000, training_seed=seed, weight_decay=1e-4, device=device.type
    )
    data = DataConfig(source="mnist", data_seed=seed)
    return resolve_config(RunConfig(data=data, model=ModelConfig(name=model), training=training))


class PairDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Pairs, one at a time."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.pairs.x_N2HW[i], self.pairs.classes_N2[i], self.pairs.target_N[i]


def dataloader_epoch(
    config: RunConfig, images: ImageSet, device: torch.device
) -> Callable[[], None]:
    """The ordinary PyTorch way; gives a function that trains and validates for one epoch."""
    pairs = draw_train_validation(images, config.data)
    size = config.training.batch_size
    train = DataLoader(PairDataset(pairs.train), batch_size=size, shuffle=True, num_workers=0)
    validation = DataLoader(PairDataset(pairs.validation), batch_size=size, num_workers=0)
    model = build_model(config.model, 0).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(0)
    aux_weight = config.training.aux_weight or 0.0

    def epoch() -> None:
        model.train()
        for batch in train:
            x_N2HW, classes_N2, target_N = (tensor.to(device) for tensor in batch)
            for dropout in model.dropouts():
                dropout.keep_NF = dropout.draw(len(x_N2HW), generator).flatten(0, 1).to(device)
            loss = pair_loss(model(x_N2HW), classes_N2, target_N, aux_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        wrong = 0
        with torch.no_grad():
            for batch in validation:
                x_N2HW, _, target_N = (tensor.to(device) for tensor in batch)
                wrong += int(n_wrong(model(x_N2HW), target_N))

    return epoch


def epoch_flops(config: RunConfig) -> float:
    """Floating-point operations of an epoch with its validation."""
    model = build_model(config.model, 0)
    draws = draw_epoch(torch.Generator(), 2, augment=False, dropouts=model.dropouts())
    for dropout, keep_PRF in zip(model.dropouts(), draws.keep_PRF, strict=True):
        dropout.keep_NF = keep_PRF.flatten(0, 1)
    return 900 * step_flops(model, 2) / 2 + 100 * forward_flops(model)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall seconds, with all that the device still has to do."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def matrix_rate(device: torch.device) -> float:
    """Floating-point operations a second of the best of some square matrix products."""
    n = 2048 if device.type == "cpu" else 8192
    a_NN = torch.rand(n, n, device=device)
    return max(2 * n**3 / seconds_of(lambda: a_NN @ a_NN, device) for _ in range(5))


def measure(model: str, n_runs: int, rounds: int, device: torch.device) -> dict[str, float | str]:
    """One row of the table: medians of seconds an epoch a run, in turn."""
    images = random_images()
    configs = [make_config(model, seed, device) for seed in range(n_runs)]
    alone = Training(configs[0], images, device)
    batch = TrainingBatch([Training(config, images, device) for config in configs])
    work: dict[str, tuple[Callable[[], object], int]] = {
        "DataLoader": (dataloader_epoch(configs[0], images, device), 1),
        "alone": (alone.run_epoch, 1),
        "batched": (batch.run_epoch, n_runs),
    }
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    rates = []
    for turn in range(rounds + 1):
        for way, (epoch, n) in work.items():
            taken = seconds_of(epoch, device) / n
            if turn:  # The first is for warming up.
                seconds[way].append(taken)
        rates.append(matrix_rate(device))
    row: dict[str, float | str] = {"model": model, "runs": n_runs}
    row |= {way: statistics.median(seconds[way]) for way in WAYS}
    for way in WAYS[:2]:
        ratios = [a / b for a, b in zip(seconds[way], seconds["batched"], strict=True)]
        row[f"{way} / batched"] = statistics.median(ratios)
    rate = epoch_flops(configs[0]) / statistics.median(seconds["batched"])
    return row | {"share of matrix rate": rate / max(rates)}


def main(argv: list[str]) -> int:
    """Measures and prints the table."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default=found)
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: by device")
    parser.add_argument("--runs", nargs="+", type=int, help="runs a batch (default: by device)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    is_cpu = device.type == "cpu"
    models = options.models or (["mlp", "convnet"] if is_cpu else list(MODELS))
    sizes = options.runs or ([1, 2, 4, 8, 10, 16] if is_cpu else [1, 2, 4, 8, 16, 32])
    name = platform.machine() if is_cpu else torch.cuda.get_device_name(device)
    machine = (
        f"{platform.node()}, {name}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}, medians of {options.rounds} rounds"
    )
    rows = []
    if not options.json:
        print(machine)
        print(f"{'':16} {'ms an epoch a run':>38} {'batched is faster than':>24} {'share of':>11}")
        print(
            f"{'model':16} {'runs':>5} {'DataLoader':>11} {'alone':>9} {'batched':>9} "
            f"{'DataLoader':>12} {'alone':>11} {'matrix rate':>12}"
        )
    for model in models:
        for n_runs in sizes:
            row = measure(model, n_runs, options.rounds, device)
            rows.append(row)
            if not options.json:
                times = [float(row[way]) * 1000 for way in WAYS]
                ratios = [float(row[f"{way} / batched"]) for way in WAYS[:2]]
                print(
                    f"{model:16} {n_runs:5d} {times[0]:11.1f} {times[1]:9.1f} {times[2]:9.1f} "
                    f"{ratios[0]:11.2f}x {ratios[1]:10.2f}x {row['share of matrix rate']:12.1%}",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
