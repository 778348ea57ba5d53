"""One split of any data, with a fingerprint of what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from space.errors import DataError

__all__ = ["Loaded"]


class _Digest(Protocol):
    def update(self, data: Any, /) -> None: ...


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a loop loaded for one split. Shared by all runs, and never to be written to.

    Attributes:
        source: Where it comes from.
        content: What was loaded.
        fingerprint: 16 hexadecimal digits that identify source, split and content.
    """

    source: str
    content: Any
    fingerprint: str

    @classmethod
    def build(cls, source: str, split: str, content: Any) -> Loaded:
        """What was loaded, with its fingerprint.

        Args:
            source: Where it comes from.
            split: Which split it is.
            content: Arrays, tensors, bytes, text and numbers, in mappings, lists and tuples; what
                else there is in it has an attribute ``fingerprint`` of its own.

        Raises:
            DataError: If something in it has no fingerprint.
        """
        digest = hashlib.sha256(f"{source}/{split}".encode())
        _add(digest, content)
        return cls(source, content, digest.hexdigest()[:16])


def _add(digest: _Digest, value: Any) -> None:
    """Take a value in, unmistakably: its kind, its size and what is in it."""
    kind = type(value).__name__
    own = getattr(value, "fingerprint", None)
    array = _as_array(value)
    if isinstance(own, str):
        digest.update(f"{kind}:{own};".encode())
    elif isinstance(value, Mapping):
        digest.update(f"mapping:{len(value)};".encode())
        for key, each in value.items():
            _add(digest, key)
            _add(digest, each)
    elif isinstance(value, list | tuple):
        digest.update(f"list:{len(value)};".encode())
        for each in value:
            _add(digest, each)
    elif isinstance(value, str | bytes):
        encoded = value.encode() if isinstance(value, str) else value
        digest.update(f"{kind}:{len(encoded)};".encode() + encoded)
    elif value is None or isinstance(value, bool | int | float):
        digest.update(f"{kind}:{value!r};".encode())
    elif array is not None:
        digest.update(f"array:{array.dtype.str}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    else:
        raise DataError(
            f"load gives a {kind}, of which no fingerprint can be taken: give arrays, tensors, "
            "bytes, text or numbers, in mappings or lists, or an object with an attribute "
            "'fingerprint', a text that is another for other data"
        )


def _as_array(value: Any) -> np.ndarray | None:
    """An array of numbers, or a tensor as one; None for all else."""
    if type(value).__module__ == "torch" and hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    is_plain = isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject
    return np.asarray(value) if is_plain else None
