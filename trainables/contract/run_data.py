"""What the runs of a launch see, as one thing that is handed on to whoever trains them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from trainables.contract.own_code import OwnCode

__all__ = ["RunData"]


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The one data set that all runs of a launch see.

    Each part is as its trainable loaded it, with a `source` and a `fingerprint` of 16 hexadecimal
    digits. Pickled, its arrays can lie in memory that processes share.

    Attributes:
        train: The training part, or None where no run needs any.
        test: The test part, for benchmarks alone.
        with_test: Whether runs may use the test split.
        own: The text of the trainable, where it is a user's own.
    """

    train: Any = None
    test: Any = None
    with_test: bool = False
    own: OwnCode | None = None

    @property
    def source(self) -> str:
        """Where it is from."""
        return "none" if self.train is None else str(self.train.source)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify all of it; "none" where there is none."""
        if self.train is None:
            return "none"
        if self.test is None:
            return str(self.train.fingerprint)
        text = f"{self.train.fingerprint}/{self.test.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]
