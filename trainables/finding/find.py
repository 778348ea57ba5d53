"""From the name of a trainable to the trainable."""

from __future__ import annotations

import importlib
from typing import Any

from space.config import DEFAULT_TRAINABLE, RunConfig
from space.errors import SpaceError, nearest
from space.words import describe
from trainables.contract.own_code import OwnCode
from trainables.contract.trainable import Trainable
from trainables.finding.own import load_own, load_text, wrapped

__all__ = ["SHIPPED", "TO_COPY", "find_trainable", "install", "read_config", "trainable_of"]

SHIPPED = {
    DEFAULT_TRAINABLE: "trainables.shipped.digit_pairs.trainable:DigitPairs",
    "boosting": "trainables.shipped.boosting:Boosting",
    "digits-cnn": "trainables.shipped.digits_cnn:Digits",
    "table-mlp": "trainables.shipped.table_mlp:Table",
    "closed-form": "trainables.shipped.closed_form:ClosedForm",
}
"""Name -> where its class or function is."""
TO_COPY = "digits-cnn"
"""The one that is whole in a file and shows most: what a file of one's own may begin as."""


def find_trainable(name: str) -> Trainable[Any]:
    """What a file's ``trainable`` names.

    Args:
        name: A shipped trainable's name, ``file.py:Name`` or ``package.module:Name``. What stands
            behind an @ says which text a record is of, and is passed over here.

    Raises:
        SpaceError: If there is none of that name, or its file is wrong.
    """
    bare = name.partition("@")[0]
    if not bare.isprintable():
        raise SpaceError(f"no trainable is named {describe(bare)}")
    if bare not in _KNOWN:
        _KNOWN[bare] = load_own(bare) if ":" in bare else _shipped(bare)
    return _KNOWN[bare]


def install(own: OwnCode | None) -> None:
    """Have a user's trainable found by its text, in a process that may not have its file."""
    if own is not None and (own.name not in _KNOWN or _KNOWN[own.name].own != own):
        _KNOWN[own.name] = load_text(own)


_KNOWN: dict[str, Trainable[Any]] = {}
"""What was looked up in this process."""


def _shipped(name: str) -> Trainable[Any]:
    if name not in SHIPPED:
        raise SpaceError(
            f"no trainable is named '{name}'; shipped: {', '.join(SHIPPED)}"
            f"{nearest(name, SHIPPED)}; one of your own is named with its file, as in mine.py:Name"
        )
    module, _, attribute = SHIPPED[name].partition(":")
    found = wrapped(getattr(importlib.import_module(module), attribute), name)
    found.name = name
    return found


def trainable_of(config: RunConfig) -> Trainable[Any]:
    """The trainable of a config."""
    return find_trainable(config.trainable)


def read_config(tree: dict[str, Any]) -> RunConfig:
    """A config from plain values, such as ``RunConfig.model_dump(mode="json")`` gives.

    Raises:
        SpaceError: If its trainable cannot be found.
        pydantic.ValidationError: If a value is not allowed.
    """
    found = find_trainable(str(tree.get("trainable", DEFAULT_TRAINABLE)))
    config: RunConfig = found.config_type.model_validate(tree)
    return config
