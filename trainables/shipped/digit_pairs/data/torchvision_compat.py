"""The one place that imports torchvision.

torchvision brings compiled operators that it looks up while it is imported. Where its build does
not fit torch's (a wheel built for CUDA beside the CPU wheel of torch, say), the library holding
them does not load, and ``import torchvision`` fails with ``operator torchvision::nms does not
exist`` although nothing here needs that operator: reading MNIST is plain Python. Declaring the
two operators that are looked up, without an implementation, is enough for the import to pass.
They are declared only after an import failed, so that a torchvision that fits is left as it is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

from space.errors import DataError

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

__all__ = ["mnist_class"]

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@cache
def _declared() -> torch.library.Library:
    """Declares the operators that are missing; the library is kept, else they would vanish."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)  # type: ignore[no-untyped-call]
    return library


@cache
def mnist_class() -> type[MNIST]:
    """torchvision's MNIST data set.

    Returns:
        The class `torchvision.datasets.MNIST`.

    Raises:
        DataError: If torchvision is not installed or cannot be imported.
    """
    try:
        return _import()
    except ImportError as error:
        raise DataError(
            f"torchvision cannot be imported ({error}): install it, or set data.source: digits"
        ) from error
    except RuntimeError as first:
        _declared()
        try:
            return _import()
        except RuntimeError as error:
            raise DataError(
                f"torchvision does not fit torch {torch.__version__} ({first}): install the builds "
                "that belong together, or set data.source: digits"
            ) from error


def _import() -> type[MNIST]:
    from torchvision.datasets import MNIST

    found: type[MNIST] = MNIST
    return found
