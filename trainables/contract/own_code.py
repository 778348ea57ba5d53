"""The text of what a user wrote, which says what it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["OwnCode"]


@dataclass(frozen=True)
class OwnCode:
    """The text of a user's trainable, for processes that may not have its files.

    Attributes:
        name: What space files call it, ``file.py:Name``.
        files: Path below the file's folder -> text: the file and the modules beside it that it
            imports.
    """

    name: str
    files: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of all of its text."""
        digest = hashlib.sha256()
        for path, text in sorted(self.files.items()):
            digest.update(f"{path}\0{text}\0".encode())
        return digest.hexdigest()[:16]
