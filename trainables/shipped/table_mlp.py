"""A number from a row of numbers by an MLP: a task with two objectives, on a table of one's own."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables import Batch, Metric, Options, Split, Task
from trainables.shipped.table_file import read_table

__all__ = ["Table", "TableOptions"]


class TableOptions(Options):
    """What a file may set and search."""

    csv: str = ""
    """A file with a line of names, then numbers, on every machine that trains; without one,
    scikit-learn's diabetes table."""
    target: str = ""
    """The column that is predicted; default: the last."""
    width: Annotated[int, Field(ge=1)] = 64
    """Units of a hidden layer."""
    depth: Annotated[int, Field(ge=0, le=1_000)] = 2
    """Hidden layers."""


class Table(Task):
    """A column of a table from the others; every fifth row is the test."""

    options: TableOptions
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="mae", words="mean absolute error"),
        Metric(name="r2", words="R2", maximize=True),
    )

    def __init__(self, options: TableOptions) -> None:
        """See `Task`. The columns are told by the table, their mean and spread by training rows."""
        super().__init__(options)
        self.x, self.y = read_table(options.csv, options.target)
        self.is_test = torch.arange(len(self.y)) % 5 == 4
        known = self.y[~self.is_test]
        self.mean, self.spread = float(known.mean()), float(known.std().clamp(min=1e-9))

    @property
    def source(self) -> str:
        """The file's name."""
        return Path(self.options.csv).name or "diabetes"

    def data(self, split: Split) -> Batch | None:
        """Rows, their columns with mean 0 and standard deviation 1 over the training rows."""
        if split == "val":
            return None
        rows, known = self.is_test == (split == "test"), self.x[~self.is_test]
        scaled = (self.x - known.mean(dim=0)) / known.std(dim=0).clamp(min=1e-9)
        return {"x": scaled[rows], "y": self.y[rows]}

    def network(self) -> nn.Module:
        """Hidden layers alike, and one number."""
        sizes = [self.x.shape[1], *[self.options.width] * self.options.depth]
        hidden = [(nn.Linear(m, n), nn.ReLU()) for m, n in pairwise(sizes)]
        return nn.Sequential(*[layer for each in hidden for layer in each], nn.Linear(sizes[-1], 1))

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Squared error in units of the spread; R2 is made of means over all rows."""
        error = network(batch["x"]).squeeze(-1) * self.spread + self.mean - batch["y"]
        scores = {"mae": error.abs(), "squared": error**2, "y": batch["y"], "yy": batch["y"] ** 2}
        return (error / self.spread).square().mean(), scores

    def summary(self, means: Mapping[str, Tensor]) -> Mapping[str, float]:
        """R2: the share of the variance that is explained."""
        r2 = 1 - means["squared"] / (means["yy"] - means["y"] ** 2)
        return {"loss": float(means["loss"]), "mae": float(means["mae"]), "r2": float(r2)}
