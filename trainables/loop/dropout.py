"""Dropout whose masks a run's own seed decides, alone and as one of many runs alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["SeededDropout"]

_LOW = 0x7FFFFFFF


class SeededDropout(TorchFunctionMode):
    """While it is active, masks are a hash of a key, of the call's number and of the element.

    Nothing is drawn and no state is kept, so that a mask is the same on every device, in whatever
    memory layout, and under `torch.vmap`, where each run has a key of its own.
    """

    def __init__(self, key: Tensor, part: slice | None = None) -> None:
        """
        Args:
            key: An int64 scalar of the run and the step.
            part: Which of a batch's samples are at hand, whose elements have the masks that they
                would have among all; None: all of them.
        """
        super().__init__()
        self._key, self._part = key, part
        self._n_calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replaces the dropout functions; see `TorchFunctionMode`."""
        mask_shape = _MASK_SHAPES.get(func)
        if mask_shape is None:
            return func(*args, **(kwargs or {}))
        return self._drop(mask_shape, *args, **(kwargs or {}))

    def _drop(
        self,
        mask_shape: Callable[[Tensor], Sequence[int]],
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        """What `torch.nn.functional.dropout` and its kin give."""
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        if not training or p == 0:
            return input
        self._n_calls += 1
        if p == 1:
            return input.mul_(0) if inplace else input * 0
        shape = mask_shape(input)
        hashed = hash_of(self._key, self._n_calls, shape, _n_before(self._part, shape))
        mask = (hashed >= round(p * (_LOW + 1))).to(input.dtype) / (1 - p)
        return input.mul_(mask) if inplace else input * mask


def _n_before(part: slice | None, shape: Sequence[int]) -> int:
    """How many elements the samples before a part have, where the first dimension counts them."""
    return 0 if part is None else math.prod(shape) * part.start // (part.stop - part.start)


def hash_of(key: Tensor, call: int, shape: Sequence[int], first: int = 0) -> Tensor:
    """Numbers that look drawn at random, uniformly.

    Args:
        key: An int64 scalar.
        call: Tells the numbers of one key apart.
        shape: Of what is wanted.
        first: The place of the first element among those of the call.

    Returns:
        int32 tensor of that shape, 0 to 2**31 - 1, on the key's device.

    Source:
        The finalizer is "lowbias32" (C. Wellons, Prospecting for Hash Functions, 2018), which is a
        bijection; two of them, each with half of the key, so that the numbers of two keys are no
        permutations of each other.
    """
    n = math.prod(shape)
    element = torch.arange(first, first + n, dtype=torch.int32, device=key.device)
    element = element.view(tuple(shape))
    low, high = key.to(torch.int32), (key >> 32).to(torch.int32)
    mixed = _finalized(element * 0x5BD1E995 + low)
    return _finalized((mixed ^ high) + _wrapped(call * 0x9E3779B9)) & _LOW


def _finalized(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 16)) * 0x7FEB352D
    x = (x ^ _shifted(x, 15)) * _wrapped(0x846CA68B)
    return x ^ _shifted(x, 16)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shifted to the right with zeros from the left, as if it had no sign."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)


def _wrapped(n: int) -> int:
    """The same 32 bits as a number with a sign."""
    return (n + 2**31) % 2**32 - 2**31


def _of_channels(n_unbatched: int) -> Callable[[Tensor], Sequence[int]]:
    """One element a channel: for inputs without a sample dimension, too, of so many dimensions."""

    def shape(x: Tensor) -> Sequence[int]:
        n_kept = 1 if x.dim() == n_unbatched else 2
        return [*x.shape[:n_kept], *(1 for _ in x.shape[n_kept:])]

    return shape


_MASK_SHAPES: dict[Any, Callable[[Tensor], Sequence[int]]] = {
    F.dropout: lambda x: x.shape,
    torch.dropout: lambda x: x.shape,
    F.dropout1d: _of_channels(2),
    F.dropout2d: _of_channels(0),
    F.dropout3d: _of_channels(4),
}
