"""A traced function gives and changes what the function would."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.loop.traced import TracedFunction


class Counting:
    """A function that changes an argument, gives None and knows how often it was called."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, total: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
        self.n_calls += 1
        total.view(-1).add_(x.expand(x.shape).sum())
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad((leaf.t().t() ** 3).sum(), leaf)
        return gradient, None, total * 2


def call(function: TracedFunction, total: Tensor, x: Tensor) -> None:
    before = total.clone()
    gradient, nothing, doubled = function(total, x)
    assert nothing is None
    torch.testing.assert_close(gradient, 3 * x**2)
    torch.testing.assert_close(total, before + x.sum())
    torch.testing.assert_close(doubled, total * 2)


@pytest.mark.parametrize("trace_after", [0, 2])
def test_it_is_called_until_it_is_traced(trace_after: int) -> None:
    counting = Counting()
    function = TracedFunction(counting, trace_after=trace_after)
    total = torch.zeros(1)
    for i in range(6):
        call(function, total, torch.full((2, 3), float(i)))
        # A trace takes one call more, of copies.
        assert counting.n_calls == min(i, trace_after) + 1


def test_each_layout_has_a_trace_of_its_own() -> None:
    counting = Counting()
    function = TracedFunction(counting, trace_after=0)
    x = torch.arange(6.0).view(2, 3)
    for others in (x, x[:1], x.t(), x.double(), x + 1):
        call(function, torch.zeros(1, dtype=others.dtype), others)
    assert counting.n_calls == 4


def test_no_gradient_is_asked_for_or_kept() -> None:
    function = TracedFunction(lambda x: (x * 2,), trace_after=1)
    x = torch.ones(2, requires_grad=True)
    for _ in range(3):
        (y,) = function(x)
        assert y is not None
        assert not y.requires_grad
