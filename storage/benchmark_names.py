"""What a benchmark is called: its files, and what its command changes in their configs."""

from __future__ import annotations

from collections.abc import Iterable

from space import Override, parse_override

__all__ = ["benchmark_name", "config_changes", "ends_with_changes"]

LONGEST_NAME = 255
FRESH = "--fresh-seeds"


def config_changes(settings: Iterable[str], *, epochs: int | None, augment: bool) -> list[Override]:
    """What a benchmark's command changes in every config.

    Args:
        settings: The arguments of its ``--set``.
        epochs: That of ``--epochs``, if given.
        augment: Whether ``--augment`` is.

    Returns:
        The changes, the later of two for one key prevailing.

    Raises:
        SpaceError: If a setting is not ``KEY=VALUE``.
    """
    changes = [parse_override(text) for text in settings]
    if epochs is not None:
        label = f"--epochs {epochs}"
        changes.append(Override(key="training.epochs", value=epochs, label=label))
    if augment:
        changes.append(Override(key="data.augment", value=True, label="--augment"))
    return changes


def benchmark_name(
    files: Iterable[str], changes: Iterable[Override], *, fresh: bool = False
) -> str:
    """The name of a benchmark.

    Args:
        files: What its config files are called.
        changes: What is changed in them.
        fresh: Whether it is on seeds that no run had been trained on.
    """
    more = [FRESH] if fresh else []
    name = " ".join([" + ".join(files), *(change.label for change in changes), *more])
    return name[:LONGEST_NAME]


def ends_with_changes(name: str, changes: Iterable[Override]) -> bool:
    """Whether a benchmark of this name has these changes, and no others, whatever its files."""
    return name == benchmark_name([name.partition(" --")[0]], changes)
