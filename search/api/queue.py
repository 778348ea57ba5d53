"""Launches and benchmarks into the store's queue, for agents to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search.api.arguments import Paths
from search.service.submitting import queue_command
from space.errors import UsageError

__all__ = ["submit"]


def submit(
    space: str | Path | None = None,
    *,
    configs: Paths = (),
    options: Sequence[str] = (),
    priority: int = 0,
    cpus: int = 1,
    gpus: int = 0,
    storage: str | None = None,
) -> int:
    """Put a launch or a benchmark into the store's queue, for an agent to run.

    Args:
        space: The search-space file of a launch, or the name of a shipped one.
        configs: Instead of that, the config files of a benchmark.
        options: Other options of the launch or the benchmark, as typed: ``["--trials", "20"]``.
        priority: Higher ones go first; of equal ones the older.
        cpus: CPUs that an agent sets aside for it.
        gpus: GPUs, likewise.
        storage: The store's URL; default: as for `search.launch`.

    Returns:
        The number of the submission.

    Raises:
        UserError: What the user can mend.
    """
    files = [str(each) for each in ([configs] if isinstance(configs, str | Path) else configs)]
    if (space is None) == (not files):
        raise UsageError("submit: name a space file, or config files with configs.")
    number, _ = queue_command(
        None if space is None else str(space),
        files,
        options,
        storage=storage,
        priority=priority,
        cpus=cpus,
        gpus=gpus,
    )
    return number
