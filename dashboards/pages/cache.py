"""Answers that are kept until what they were made of has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from dashboards.pages.responses import Response

__all__ = ["Cache"]


class Cache:
    """The latest answer for each of the addresses that were asked for last; safe for threads."""

    def __init__(self, size: int) -> None:
        """Keep so many answers at most."""
        self._size = size
        self._kept: OrderedDict[str, Response] = OrderedDict()
        # One at a time: several browsers that find the same change wait for one answer.
        self._making = threading.Lock()

    def get(self, address: str, version: str, make: Callable[[], Response]) -> Response:
        """The answer for an address in a version.

        Args:
            address: Of what is asked.
            version: The tag that the answer is to have.
            make: Makes the answer where another version, or none, is kept.

        Returns:
            The answer, made or kept.
        """
        with self._making:
            kept = self._kept.get(address)
            if kept is None or kept.tag != version:
                kept = make()
                self._kept[address] = kept
            self._kept.move_to_end(address)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
            return kept
