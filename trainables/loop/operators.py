"""The layers' operators over many runs at once, where `torch.vmap`'s own way is slow.

Inside `torch.vmap` a network's forward sees the tensors of one run, while the operators get those
of all R runs. torch's rules give the right numbers for any operator; those here give the same
numbers faster for the few that take most of the time. They keep images as (N, R * C, H, W), in the
memory layout that the convolutions are fastest in, so that nothing is copied between them: R runs
are R groups of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["RunOperators"]

Rule = Callable[..., Tensor]
"""Takes R, the images (N, R * C, ...) and the operator's further arguments, of which tensors are
(R, ...); returns (N, R * C', ...)."""


class RunOperators(TorchFunctionMode):
    """While it is active, a network's operators under `torch.vmap` are those of this module."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replaces an operator; see `TorchFunctionMode`."""
        return _OPERATORS.get(func, func)(*args, **(kwargs or {}))


class _OverRuns(torch.autograd.Function):
    """Hands the tensors of all runs to a rule: what a function's ``vmap`` is given for."""

    @staticmethod
    def forward(rule: Rule, *args: Any) -> Tensor:
        raise RuntimeError("these operators are for use under torch.vmap alone")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: the rule's own operators are what is differentiated."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], rule: Rule, x: Tensor, *args: Any) -> Any:
        n_runs = info.batch_size
        _, x_dim, *dims = in_dims
        folded = x.movedim(x_dim, 1).flatten(1, 2)
        runs_first = [
            a.movedim(d, 0) if isinstance(a, Tensor) else a for a, d in zip(args, dims, strict=True)
        ]
        y: Tensor = rule(n_runs, folded, *runs_first)
        return y.view(len(y), n_runs, -1, *y.shape[2:]), 1


def _over_runs(rule: Rule, *args: Any) -> Tensor:
    return cast(Tensor, _OverRuns.apply(rule, *args))  # type: ignore[no-untyped-call]


def _autocast(*tensors: Tensor | None) -> list[Tensor | None]:
    """Tensors in the dtype that autocast, where it is on, gives to convolutions and products.

    What it does within a function of ours is hidden from autograd: it has to be done before.
    """
    device = next(a.device.type for a in tensors if a is not None)
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    dtype = torch.get_autocast_dtype(device)
    return [None if a is None else a.to(dtype) for a in tensors]


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if x.dim() != 2:
        return F.linear(x, weight, bias)
    return cast(Tensor, _LinearOverRuns.apply(x, weight, bias))  # type: ignore[no-untyped-call]


class _LinearOverRuns(torch.autograd.Function):
    """A linear layer over rows of features; see `_OverRuns`."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        raise RuntimeError("these operators are for use under torch.vmap alone")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: `_BatchedLinear` is what is differentiated."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Tensor | None) -> Any:
        runs_first = [
            None if a is None else a.movedim(d, 0) for a, d in zip(args, in_dims, strict=True)
        ]
        return _BatchedLinear.apply(*_autocast(*runs_first)), 0  # type: ignore[no-untyped-call]


class _BatchedLinear(torch.autograd.Function):
    """R linear layers whose weights' gradients come in the weights' own layout, without a copy."""

    @staticmethod
    def forward(ctx: Any, x_RNF: Tensor, weight_RMF: Tensor, bias_RM: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_RNF, weight_RMF)
        weight_RFM = weight_RMF.transpose(1, 2)
        if bias_RM is None:
            return torch.bmm(x_RNF, weight_RFM)
        return torch.baddbmm(bias_RM.unsqueeze(1), x_RNF, weight_RFM)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g_RNM,) = gradients
        x_RNF, weight_RMF = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            torch.bmm(g_RNM, weight_RMF) if needs_x else None,
            torch.bmm(g_RNM.transpose(1, 2), x_RNF) if needs_weight else None,
            g_RNM.sum(1) if needs_bias else None,
        )


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    def rule(n_runs: int, x: Tensor, *of_channels: Tensor | None) -> Tensor:
        # Views, since the running statistics are updated in place.
        mean, var, weight, bias = (None if a is None else a.view(-1) for a in of_channels)
        return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)

    return _over_runs(rule, x, running_mean, running_var, weight, bias)


def _of_each_channel(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator on images that treats every channel alike, such as pooling."""

    def over_runs(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return _over_runs(lambda n_runs, x: operator(x, *args, **kwargs), x)

    return over_runs


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    is_plain = (stride, dilation, groups) == ((1, 1), (1, 1), 1) and isinstance(padding, tuple)

    def rule(n_runs: int, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        weight = weight.flatten(0, 1)
        bias = None if bias is None else bias.flatten()
        x = x.contiguous(memory_format=torch.channels_last)
        if x.device.type != "cpu" or n_runs == 1 or not is_plain:
            return F.conv2d(x, weight, bias, stride, padding, dilation, groups * n_runs)
        y: Tensor = _GroupedConvolution.apply(*_autocast(x, weight, bias), padding, n_runs)  # type: ignore[no-untyped-call]
        return y

    return _over_runs(rule, x, weight, bias)


class _GroupedConvolution(torch.autograd.Function):
    """A grouped convolution of stride 1 that is faster on a CPU than torch's.

    oneDNN computes the gradient of the input and of the bias several times more slowly than a
    forward convolution and a sum, which give the same. And it multiplies for the outermost outputs
    where the padding is wider than the kernel reaches; these see nothing but padding.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.groups = padding, groups
        within = [min(p, k - 1) for p, k in zip(padding, weight.shape[2:], strict=True)]
        inner = F.conv2d(x, weight, bias, padding=within, groups=groups)
        if list(padding) == within:
            return inner
        margins = [p - size for p, size in zip(padding, within, strict=True)]
        sizes = [n + 2 * margin for n, margin in zip(inner.shape[2:], margins, strict=True)]
        of_padding = inner.new_zeros(inner.shape[1]) if bias is None else bias
        y = of_padding.view(1, -1, 1, 1).expand(len(inner), -1, *sizes)
        y = y.contiguous(memory_format=torch.channels_last)
        rows, columns = (slice(m, m + n) for m, n in zip(margins, inner.shape[2:], strict=True))
        y[:, :, rows, columns] = inner
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g_NCHW,) = gradients
        x, weight = ctx.saved_tensors
        needs_x, _, needs_bias, *_ = ctx.needs_input_grad
        g_bias = g_NCHW.sum((0, 2, 3)) if needs_bias else None
        # Outputs that see nothing but padding have no part in the other two.
        kernel = weight.shape[2:]
        reach = [k - 1 for k in kernel]
        for dim, size, p in zip((2, 3), reach, ctx.padding, strict=True):
            if p > size:
                g_NCHW = g_NCHW.narrow(dim, p - size, g_NCHW.shape[dim] - 2 * (p - size))
        g_NCHW = g_NCHW.contiguous(memory_format=torch.channels_last)
        padding = [min(p, size) for p, size in zip(ctx.padding, reach, strict=True)]
        g_x = None
        if needs_x:
            of_groups = weight.view(ctx.groups, -1, *weight.shape[1:])
            in_groups = of_groups.transpose(1, 2).flatten(0, 1)
            backwards = in_groups.flip(-1, -2).contiguous(memory_format=torch.channels_last)
            full = [size - p for p, size in zip(padding, reach, strict=True)]
            g_x = F.conv2d(g_NCHW, backwards, padding=full, groups=ctx.groups)
        g_weight = torch.ops.aten.convolution_backward(
            g_NCHW, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], ctx.groups,
            [False, True, False],
        )[1]  # fmt: skip
        return g_x, g_weight, g_bias, None, None


_OPERATORS: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    torch.conv2d: _conv2d,
    F.max_pool2d: _of_each_channel(F.max_pool2d),
    F.avg_pool2d: _of_each_channel(F.avg_pool2d),
}
