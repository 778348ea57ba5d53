"""From what a space file names to callbacks that can be made."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from search.callbacks.callback import Callback
from space.errors import SpaceError, UsageError
from space.study.callbacks import AnyCallback, OwnCallback
from space.study.own import class_in
from trainables.finding.own import module_of_file

__all__ = ["Maker", "makers"]

_SHIPPED = {
    "tensorboard": ("tensorboard", "search.callbacks.tensorboard:TensorBoard"),
    "mlflow": ("mlflow", "search.callbacks.mlflow:MLflow"),
    "wandb": ("wandb", "search.callbacks.wandb:Wandb"),
}
"""Name -> the library that has to be there, and the class."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes a callback, which loads its library: in a thread, so that no search waits for it.

    Attributes:
        name: What the callback is called.
        make: Makes it.
    """

    name: str
    make: Callable[[], Callback]


def makers(callbacks: Iterable[AnyCallback]) -> list[Maker]:
    """What makes some callbacks.

    Args:
        callbacks: As a space file names them.

    Raises:
        UsageError: If a library is not installed.
        SpaceError: If a user's class cannot be loaded.
    """
    return [_own(each) if isinstance(each, OwnCallback) else _shipped(each) for each in callbacks]


def _shipped(callback: AnyCallback) -> Maker:
    library, where = _SHIPPED[callback.name]
    if importlib.util.find_spec(library) is None:
        raise UsageError(
            f"callbacks: {callback.name} needs a library that is not installed here: pip install "
            f"'digit-pair-search[{callback.name}]'"
        )
    options = callback.model_dump(exclude={"name"})

    def make() -> Callback:
        module, _, name = where.partition(":")
        made: Callback = getattr(importlib.import_module(module), name)(**options)
        return made

    return Maker(name=callback.name, make=make)


def _own(callback: OwnCallback) -> Maker:
    where = callback.file.partition(":")[0]
    path = Path(where).resolve()
    if not path.is_file():
        raise SpaceError(f"callbacks: there is no file {where} in {Path.cwd()}")
    try:
        module = module_of_file(path, "_callback_")
    except Exception as error:  # whatever its code does
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise SpaceError(f"callbacks: {where}: {said}") from error
    found = class_in("callbacks", module, callback.file, Callback)
    return Maker(name=callback.file, make=lambda: found(**callback.options))
