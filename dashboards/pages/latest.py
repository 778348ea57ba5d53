"""What was made of the store lately, for as long as the store stays the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Latest"]

T = TypeVar("T")


class Latest:
    """Keeps what is asked for again and again, with the version that it was made of."""

    SIZE = 16

    def __init__(self) -> None:
        """Begin with nothing."""
        # One at a time: several browsers that find the same change wait for one answer.
        self._making = threading.Lock()
        self._kept: dict[str, tuple[str, Any]] = {}

    def get(self, key: str, version: str, make: Callable[[], T]) -> T:
        """What is kept under a key, where it is of this version; else it is made."""
        with self._making:
            known, kept = self._kept.pop(key, ("", None))
            found: T = kept if known == version else make()
            self._kept[key] = (version, found)
            if len(self._kept) > self.SIZE:
                del self._kept[next(iter(self._kept))]
        return found
