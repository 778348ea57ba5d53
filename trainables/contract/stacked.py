"""Options of a task that may differ between runs trained as one model; no PyTorch is needed."""

from __future__ import annotations

from dataclasses import dataclass

from space.config import FrozenModel

__all__ = ["STACKED", "stacked_options"]


@dataclass(frozen=True)
class Stacked:
    """Marks a number among a task's options: ``weight: Annotated[float, STACKED] = 0.5``."""


STACKED = Stacked()
"""Runs that differ in nothing but numbers so marked can be trained as one model. In `Task.loss`
such an option is a scalar tensor."""


def stacked_options(options: FrozenModel) -> tuple[str, ...]:
    """The names of the options that are marked.

    Args:
        options: A task's options.
    """
    fields = type(options).model_fields.items()
    return tuple(name for name, field in fields if STACKED in field.metadata)
