"""Tasks of other kinds than the pairs of digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes, load_digits
from torch import Tensor, nn

from space.config import FrozenModel
from space.metrics import Metric
from trainables.contract.split_data import Batch, Split
from trainables.contract.stacked import STACKED
from trainables.contract.task import Task
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DataConfig, DigitPairsConfig, ModelConfig

__all__ = ["Classes", "Progression", "open_task"]


class Classes(Task):
    """Ten classes of images, by a small convolutional network with dropout of several kinds."""

    class Options(FrozenModel):
        """Of the network and of the loss."""

        dropout: float = 0.2
        smoothing: Annotated[float, STACKED] = 0.0

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="error", words="error"),
        Metric(name="f1", words="macro F1", maximize=True),
    )
    options: Options

    def data(self, split: Split) -> Batch | None:
        if split == "val":
            return None
        digits = load_digits()
        part = slice(400) if split == "train" else slice(400, 600)
        image = torch.tensor(digits.images[part], dtype=torch.float32).unsqueeze(1) / 16
        return {"image": image, "label": torch.tensor(digits.target[part])}

    def epoch(self, train: Batch, order: torch.Generator, augmentation: torch.Generator) -> Batch:
        batch = dict(super().epoch(train, order, augmentation))
        noise = torch.randn(batch["image"].shape, generator=augmentation)
        return {**batch, "image": batch["image"] + 0.1 * noise.to(batch["image"])}

    def network(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout2d(self.options.dropout),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(self.options.dropout),
            nn.Linear(72, 10),
        )

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        logits, label = network(batch["image"]), batch["label"]
        exact = F.cross_entropy(logits, label)
        smooth = -F.log_softmax(logits, dim=1).mean()
        loss = (1 - self.options.smoothing) * exact + self.options.smoothing * smooth
        said, true = F.one_hot(logits.argmax(1), 10), F.one_hot(label, 10)
        return loss, {
            "error": logits.argmax(1) != label,
            "f1": torch.stack([said * true, said + true], dim=1),
        }

    def summary(self, means: Mapping[str, Tensor]) -> Mapping[str, float]:
        both, either = means["f1"].unbind()
        f1 = (2 * both / either.clamp(min=1e-12)).mean()
        return {**{name: float(means[name]) for name in ("loss", "error")}, "f1": float(f1)}


class Progression(Task):
    """A number from ten others, with a validation split of its own."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="r2", words="R2", maximize=True),
        Metric(name="mae", words="mean absolute error"),
    )

    def data(self, split: Split) -> Batch | None:
        table = load_diabetes()
        part = {"train": slice(200), "val": slice(200, 300), "test": slice(300, None)}[split]
        x = torch.tensor(table.data[part], dtype=torch.float32) * 20
        return {"x": x, "y": torch.tensor(table.target[part], dtype=torch.float32) / 100}

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 1))

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        y = batch["y"]
        off = network(batch["x"]).squeeze(1) - y
        return (off**2).mean(), {"r2": torch.stack([off**2, y, y**2], dim=1), "mae": off.abs()}

    def summary(self, means: Mapping[str, Tensor]) -> Mapping[str, float]:
        square, y, y2 = means["r2"].tolist()
        r2 = 1 - square / (y2 - y**2)
        return {"loss": float(means["loss"]), "r2": r2, "mae": float(means["mae"])}


def open_task(task: Task, **training: Any) -> Training:
    """A small run of a task, on the CPU."""
    config = DigitPairsConfig(data=DataConfig(source="digits"), model=ModelConfig(name="any"))
    settings = {"epochs": 3, "batch_size": 32, "device": "cpu", **training}
    config = config.with_values({f"training.{name}": value for name, value in settings.items()})
    return Training(task, config, task.load("train"), torch.device("cpu"))
