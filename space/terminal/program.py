"""How a command of ours is typed: by the program ``search``, or as a module of Python's."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["PROGRAM", "words_of"]

PROGRAM = "search"
"""What an installation puts beside ``python``."""


def words_of(module: str) -> tuple[str, ...]:
    """A command's words, in the way in which this process was started.

    Args:
        module: The module that ``python -m`` runs, e.g. ``"search.launch"``.

    Returns:
        ``("search", "launch")`` under the program, else ``("python", "-m", "search.launch")``.
    """
    started = Path(sys.argv[0])
    if started.stem == PROGRAM and started.suffix in ("", ".exe"):
        return (PROGRAM, module.rpartition(".")[2].replace("_", "-"))
    return ("python", "-m", module)
