"""A function of tensors run as the flat list of operators that it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

__all__ = ["TracedFunction", "copies_of", "layout_of"]

Outputs = tuple[Any, ...]
"""Tensors, and None where the function has none to give."""

_VIEWS = frozenset(
    {
        torch.ops.aten.detach.default,
        torch.ops.aten.expand.default,
        torch.ops.aten.permute.default,
        torch.ops.aten.view.default,
        torch.ops.aten._unsafe_view.default,
    }
)
"""Operators that give all of their input's elements, often as they are."""


class TracedFunction:
    """Calls a function, and from some call on repeats what it did instead.

    What `torch.vmap`, autograd, modules and our rules do to find the next operator is the same at
    every step, and for small networks takes longer than the operators themselves. A trace holds
    only these, with those of the gradients, for arguments laid out in one way.
    """

    def __init__(self, function: Callable[..., Outputs], *, trace_after: int) -> None:
        """
        Args:
            function: Takes tensors and gives tensors that need no gradient. Which operators it
                calls may depend on the layout of its arguments alone. It may change them.
            trace_after: Calls with arguments of one layout before it is traced for that layout: a
                trace takes as long as some dozens of calls save.
        """
        self._function = function
        self._trace_after = trace_after
        self._n_calls: Counter[Hashable] = Counter()
        self._traces: dict[Hashable, Callable[..., Outputs]] = {}

    def __call__(self, *tensors: Tensor) -> Outputs:
        """Calls the function or repeats it.

        Args:
            tensors: Its arguments.

        Returns:
            What it gives.
        """
        layout = layout_of(tensors)
        with torch.no_grad():
            if layout in self._traces:
                return self._traces[layout](*tensors)
            self._n_calls[layout] += 1
            if self._n_calls[layout] <= self._trace_after:
                return self._function(*tensors)
            self._traces[layout] = _traced(self._function, tensors)
            return self._traces[layout](*tensors)


def _traced(function: Callable[..., Outputs], tensors: tuple[Tensor, ...]) -> Callable[..., Any]:
    """Traces a function on copies, since that calls it."""
    # Without a mode of fake tensors each operator makes one, for what is known of its result alone:
    # that is half of the time.
    with tracing(TracingContext(FakeTensorMode())):
        module: fx.GraphModule = make_fx(function)(*copies_of(tensors))
    for node in module.graph.nodes:
        seen = node
        while seen.target in _VIEWS:  # Views of views often come back to where they began.
            seen = seen.args[0]
            if _layout_at(node) == _layout_at(seen):
                node.replace_all_uses_with(seen)
    module.graph.eliminate_dead_code()
    for node in module.graph.nodes:
        node.meta.clear()  # which takes megabytes and is for those who change a graph
    module.recompile()
    return module.forward


def _layout_at(node: fx.Node) -> Hashable:
    return layout_of([node.meta["val"]])


def layout_of(tensors: Sequence[Tensor]) -> Hashable:
    """What two lists of tensors have in common that the same recorded work fits.

    Args:
        tensors: The tensors.

    Returns:
        Their shapes, strides and types.
    """
    return tuple((t.shape, t.stride(), t.dtype) for t in tensors)


def copies_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies in memory of their own, laid out alike even where `Tensor.clone` would not.

    Args:
        tensors: The tensors.

    Returns:
        Their copies.
    """
    copies = [
        torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device) for t in tensors
    ]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor)
    return copies
