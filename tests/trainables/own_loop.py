"""Loops as a user would write them, without PyTorch: a class, and a function."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from trainables import FunctionRun, Loop, Metric, Options, measures


class LinearOptions(Options):
    """What a file may set and search."""

    alpha: Annotated[float, Field(gt=0)] = 1e-4
    """Weight of the penalty."""
    eta: Annotated[float, Field(gt=0)] = 0.01
    """Learning rate."""


class Linear(Loop):
    """Which of ten digits an image shows, by a linear classifier."""

    options: LinearOptions
    metrics = (Metric("error"),)

    def load(self, split: Literal["train", "test"]) -> Mapping[str, Any]:
        """The first 300 images are trained on and validated with, 200 others are the test."""
        digits = load_digits()
        rows = slice(0, 300) if split == "train" else slice(300, 500)
        return {"x": digits.data[rows] / 16, "y": digits.target[rows]}

    def begin(self, data: Mapping[str, Any]) -> None:
        """A classifier that knows nothing, and 60 images held out."""
        order = np.random.default_rng(self.run.data_seed).permutation(300)
        self.x, self.y = data["x"][order], data["y"][order]
        self.model = SGDClassifier(
            alpha=self.options.alpha,
            learning_rate="constant",
            eta0=self.options.eta,
            random_state=self.run.training_seed,
        )

    def train_epoch(self) -> Mapping[str, float]:
        """One pass over the images."""
        self.model.partial_fit(self.x[60:], self.y[60:], classes=range(10))
        parts = {"train": slice(60, None), "val": slice(0, 60)}
        return {
            f"{split}_error": 1 - self.model.score(self.x[rows], self.y[rows])
            for split, rows in parts.items()
        }

    def evaluate(self, test: Mapping[str, Any]) -> Mapping[str, float]:
        """The share of the test images that are said to be another digit."""
        return {"test_error": 1 - self.model.score(test["x"], test["y"])}


@measures(Metric("error"))
def train(options: LinearOptions, run: FunctionRun) -> Iterator[Mapping[str, float]]:
    """The same as a function, which keeps what it would go on from."""
    loop = Linear(options)
    loop.run = run
    loop.begin(loop.load("train"))
    if run.checkpoint is not None:
        loop.model = run.checkpoint
    for _ in range(run.epoch, run.epochs):
        found = dict(loop.train_epoch())
        run.checkpoint = loop.model
        yield found | dict(loop.evaluate(loop.load("test"))) if run.with_test else found


def plain(options: LinearOptions, run: FunctionRun) -> Iterator[Mapping[str, float]]:
    """A formula, that says nothing of what it measures and keeps nothing."""
    for epoch in range(run.epochs):
        yield {"val_accuracy": 1 - options.eta / (1 + epoch), "train_accuracy": 1.0}
