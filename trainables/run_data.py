"""What the runs of a launch see, as one thing that is handed on to whoever trains them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainables.split_data import SplitData

__all__ = ["RunData"]


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The one data set that all runs of a launch see.

    Pickled, its arrays can lie in memory that processes share.

    Attributes:
        images: The training images, or None where no run needs any.
        test_images: The test images, for benchmarks alone.
    """

    images: SplitData | None = None
    test_images: SplitData | None = None

    @property
    def source(self) -> str:
        """Where it is from."""
        return "none" if self.images is None else self.images.source

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify all of it; "none" where there is none."""
        if self.images is None:
            return "none"
        if self.test_images is None:
            return self.images.fingerprint
        text = f"{self.images.fingerprint}/{self.test_images.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]
