"""Gradient boosting from scikit-learn: a loop of one's own without PyTorch, a stage an epoch."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier

from trainables import Loop, Metric, Options

__all__ = ["Boosting", "BoostingOptions"]

N_TRAIN = 1297
"""Images to train on and to validate with; the other 500 are the test."""


class BoostingOptions(Options):
    """What a file may set and search."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Weight of every tree."""
    max_depth: Annotated[int, Field(ge=1)] = 3
    """Depth of a tree."""
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the images that a stage sees."""
    max_features: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the pixels that a split is looked for in."""


class Boosting(Loop):
    """Which of ten digits an image of 8 x 8 shows, by ten trees a stage."""

    options: BoostingOptions
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("error", unit="fraction of images"),)

    def load(self, split: Literal["train", "test"]) -> Mapping[str, Any]:
        """The images as they are."""
        found = load_digits()
        rows = slice(0, N_TRAIN) if split == "train" else slice(N_TRAIN, None)
        return {"x": found.data[rows], "y": found.target[rows]}

    def begin(self, data: Mapping[str, Any]) -> None:
        """No tree yet; a tenth of the images is held out."""
        order = np.random.default_rng(self.run.data_seed).permutation(len(data["y"]))
        n_val = len(order) // 10
        self.parts = {"val": order[:n_val], "train": order[n_val:]}
        self.images = data
        self.model = GradientBoostingClassifier(
            **self.options.model_dump(),
            n_estimators=1,
            warm_start=True,
            random_state=self.run.training_seed,
        )

    def train_epoch(self) -> Mapping[str, float]:
        """One more stage: fitting goes on where it stopped (`warm_start`)."""
        rows = self.parts["train"]
        self.model.fit(self.images["x"][rows], self.images["y"][rows])
        self.model.n_estimators += 1
        return {f"{split}_error": self._error(split) for split in self.parts}

    def evaluate(self, test: Mapping[str, Any]) -> Mapping[str, float]:
        """The share of the test images that are said to be another digit."""
        return {"test_error": float(1 - self.model.score(test["x"], test["y"]))}

    def state_dict(self) -> Mapping[str, Any]:
        """The trees, and the random numbers' state with them; the images stay."""
        return {"model": self.model}

    def _error(self, split: str) -> float:
        rows = self.parts[split]
        return float(1 - self.model.score(self.images["x"][rows], self.images["y"][rows]))
