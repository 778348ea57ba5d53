"""Who is told of a launch's runs beside the store: TensorBoard, MLflow, W&B, or a user's own class.

What is told changes nothing of what is trained: callbacks belong to no study's terms and to no
config's hash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from space.config import FrozenModel, by_name
from space.messages import refusal
from space.words import describe

__all__ = [
    "AnyCallback",
    "CallbackList",
    "Callbacks",
    "MLflowCallback",
    "OwnCallback",
    "TensorBoardCallback",
    "WandbCallback",
]

_OWN = re.compile(r"[^:]+:[A-Za-z_]\w*")


def _without_secret(uri: str) -> str:
    parts = urlsplit(uri)
    if "@" in parts.netloc or parts.query:
        raise refusal(
            "has a user, a password or options, and what is said here is stored; leave it out and "
            "give it in the environment, as MLFLOW_TRACKING_URI"
        )
    return uri


def _in_a_file(name: str) -> str:
    if not _OWN.fullmatch(name):
        raise refusal(f"found {describe(name)}; expected a file and a class, as in mine.py:Name")
    return name


class TensorBoardCallback(FrozenModel):
    """Event files for TensorBoard: curves of every metric, and the table of its HParams page."""

    name: Literal["tensorboard"]
    """The callback."""
    folder: str = "results/tensorboard"
    """What `tensorboard --logdir` is given; each study has a folder in it, and each run one in
    that."""


class MLflowCallback(FrozenModel):
    """Runs of an MLflow experiment."""

    name: Literal["mlflow"]
    """The callback."""
    uri: Annotated[str, AfterValidator(_without_secret)] | None = None
    """MLflow's tracking URI; default: its own, which is $MLFLOW_TRACKING_URI or `mlflow.db` in the
    working directory."""
    experiment: str | None = None
    """The experiment's name; default: the study's or the benchmark's."""


class WandbCallback(FrozenModel):
    """Offline runs of Weights & Biases, for `wandb sync` to send."""

    name: Literal["wandb"]
    """The callback."""
    folder: str = "results"
    """Where its folder `wandb` lies."""
    project: str | None = None
    """The project's name; default: the study's or the benchmark's."""


class OwnCallback(FrozenModel):
    """A class of the user's own, which derives from `search.callbacks.Callback`."""

    name: Literal["own"]
    """The callback."""
    file: Annotated[str, AfterValidator(_in_a_file)]
    """File and class, as in `mine.py:Name`; seen from the working directory."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the class is called with, by keyword; it is stored with the launch."""


AnyCallback = TensorBoardCallback | MLflowCallback | WandbCallback | OwnCallback


def _named(value: Any) -> Any:
    """What a bare name stands for; one with a colon is a file's."""
    if isinstance(value, str) and ":" in value:
        return {"name": "own", "file": value}
    return by_name(value)


def _once(callbacks: Sequence[AnyCallback]) -> Sequence[AnyCallback]:
    for index, callback in enumerate(callbacks):
        if callback in callbacks[:index]:
            raise refusal(f"the same as {callbacks.index(callback)}", index)
    return callbacks


Callbacks = Annotated[
    tuple[
        Annotated[
            Annotated[AnyCallback, Field(discriminator="name")],
            BeforeValidator(_named, json_schema_input_type=AnyCallback | str),
        ],
        ...,
    ],
    Field(strict=False),
    AfterValidator(_once),
]


class CallbackList(FrozenModel):
    """What is told, where no space file says it."""

    callbacks: Callbacks = ()
