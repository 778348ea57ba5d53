"""Dropout by a hash of the run's own seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.loop.dropout import SeededDropout, hash_of

KEY = torch.tensor(2**61 + 12345)


def _dropped(layer: Callable[[Tensor], Tensor], x: Tensor, key: Tensor = KEY) -> Tensor:
    with SeededDropout(key):
        return layer(x)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_share_dropped_and_the_mean_are_as_they_should(p: float) -> None:
    y = _dropped(nn.Dropout(p), torch.ones(400, 500))
    assert y.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=5 * (p * (1 - p) / 2e5) ** 0.5)
    # So in every row and every column: five standard deviations of each, and of the largest.
    for dim, n in ((0, 400), (1, 500)):
        shares = (y == 0).double().mean(dim)
        assert (shares - p).abs().max() < 5 * (p * (1 - p) / n) ** 0.5


def test_masks_of_other_keys_calls_and_places_are_unrelated() -> None:
    keys = [KEY, KEY + 1, KEY + 2**32, KEY ^ 1, KEY * 0]
    masks = [hash_of(key, call, (20_000,)) >= 2**30 for key in keys for call in (1, 2, 3)]
    masks += [masks[0].roll(shift) for shift in (1, 2, 64, 1000)]
    together = torch.corrcoef(torch.stack(masks).double()).fill_diagonal_(0)
    assert together.abs().max() < 5 / 20_000**0.5


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout(0.3), (6, 5)),
        (nn.Dropout1d(0.5), (6, 5, 4)),
        (nn.Dropout2d(0.5), (6, 5, 4, 3)),
        (nn.Dropout3d(0.5), (6, 5, 4, 3, 2)),
        (lambda x: F.dropout(x, 0.3, training=True), (6, 5)),
        (lambda x: torch.dropout(x, 0.3, True), (6, 5)),
        (lambda x: F.dropout2d(x.clone(), 0.3, inplace=True), (6, 5, 4, 3)),
    ],
)
def test_runs_together_have_the_masks_of_each_alone(
    layer: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    keys, x = KEY + torch.arange(3), torch.rand(3, *shape) + 1
    together = torch.vmap(lambda key, x: _dropped(layer, x, key))(keys, x)
    for key, of_one, found in zip(keys, x, together, strict=True):
        alone = _dropped(layer, of_one, key)
        assert torch.equal(alone, found)
        assert 0 < (alone == 0).sum() < alone.numel()
        if len(shape) > 2:  # A channel is dropped as a whole.
            rest = tuple(range(2, len(shape)))
            assert torch.equal((alone == 0).all(rest), (alone == 0).any(rest))


def test_layout_and_place_in_memory_do_not_matter() -> None:
    x = torch.rand(4, 3, 5, 5) + 1
    other = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(_dropped(nn.Dropout(0.5), x), _dropped(nn.Dropout(0.5), other))


def test_what_drops_nothing_or_all() -> None:
    x = torch.ones(3, 2)
    assert _dropped(nn.Dropout(0.5).eval(), x) is x
    assert _dropped(nn.Dropout(0.0), x) is x
    assert torch.equal(_dropped(nn.Dropout(1.0), x), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="between 0 and 1"):
        _dropped(lambda x: F.dropout(x, 1.5), x)


def test_the_global_generator_is_left_alone_and_the_gradient_is_the_masks() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    x = torch.ones(20, 30, requires_grad=True)
    y = _dropped(nn.Dropout(0.5), x)
    y.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())
