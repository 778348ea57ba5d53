"""The files that come with the package: named by a word, they are found from any directory."""

from __future__ import annotations

from pathlib import Path

__all__ = ["located", "shipped_files"]

_FOLDER = Path(__file__).resolve().parents[1]


def shipped_files() -> dict[str, Path]:
    """The shipped search-space files and, after them, the config files: name -> path."""
    files = (*sorted(_FOLDER.glob("*.yaml")), *sorted(_FOLDER.glob("paper/*.yaml")))
    return {path.stem: path for path in files}


def located(path: str | Path) -> Path:
    """Where a file lies.

    Args:
        path: A path, or the name of a shipped file, such as ``mlp``. What is there under this
            name goes first.
    """
    path = Path(path)
    found = shipped_files().get(str(path))
    return path if found is None or path.exists() else found
