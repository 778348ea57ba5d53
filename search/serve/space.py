"""The space that a client brings: like a space file, but for code and files of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from space import SpaceFile
from space.errors import SpaceError
from space.study.identity import WITHOUT_GPU

__all__ = ["OF_FILES", "space_of"]

NAME = "space"
"""What sentences call it."""
OF_FILES = frozenset({"csv", "root"})
"""Settings of shipped trainables that name a file or directory, which is read in this process."""


def space_of(tree: dict[str, Any], study: str | None) -> SpaceFile:
    """Read a client's space.

    Args:
        tree: What a space file would hold.
        study: The study's name; None: the tree's.

    Raises:
        SpaceError: If it is wrong, or names what this process would run or read.
    """
    for part, where in ((tree, NAME), (tree.get(WITHOUT_GPU), f"{NAME}.{WITHOUT_GPU}")):
        if isinstance(part, dict):
            _refuse_code(part, where)
    for word in _words(tree):
        if word.rpartition(".")[2] in OF_FILES:
            raise SpaceError(
                f"{NAME}: '{word}' names a file of the server's, which a client may not have read; "
                "begin the study there with `search launch`, or submit it"
            )
    name = {} if study is None else {"study": study}
    return SpaceFile.of({**tree, **name}, NAME, ())


def _refuse_code(tree: dict[str, Any], where: str) -> None:
    """Refuse what names a module or a file of code.

    Raises:
        SpaceError: If anything does.
    """
    for key in ("trainable", "sampler", "pruner", "callbacks"):
        # Wherever it stands: a pruner may be of another, and a callback's name alone is code.
        words = list(_words(tree.get(key)))
        if any(":" in word for word in words) or (words and key == "callbacks"):
            raise SpaceError(
                f"{where}.{key}: names code, which a client may not have run in the server; begin "
                "the study there with `search launch`, or submit it"
            )


def _words(tree: Any) -> Iterator[str]:
    """Every key and every text of a tree."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield str(key)
            yield from _words(value)
    elif isinstance(tree, list):
        for each in tree:
            yield from _words(each)
    elif isinstance(tree, str):
        yield tree
