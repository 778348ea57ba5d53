"""Each network against the report's table, restated with torch's functions alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.trainables.conftest import without_dropout
from trainables.shipped.digit_pairs.config import ModelConfig
from trainables.shipped.digit_pairs.models import MODELS, Output, PairModel, build_model


class _Layers:
    """A network's layers, taken one after the other by kind."""

    def __init__(self, model: PairModel) -> None:
        self._convs = self._of(model, nn.Conv2d)
        self._norms = self._of(model, nn.BatchNorm1d, nn.BatchNorm2d)
        self._linears = self._of(model, nn.Linear)

    @staticmethod
    def _of(model: PairModel, *kinds: type) -> Iterator[nn.Module]:
        return iter([m for m in model.modules() if isinstance(m, kinds)])

    def conv(self, x: Tensor, padding: int = 0) -> Tensor:
        layer = next(self._convs)
        return F.conv2d(x, layer.weight, layer.bias, padding=padding)

    def norm(self, x: Tensor) -> Tensor:
        layer = next(self._norms)
        return F.batch_norm(x, None, None, layer.weight, layer.bias, training=True)

    def linear(self, x: Tensor) -> Tensor:
        layer = next(self._linears)
        return F.linear(x, layer.weight, layer.bias)


def _mlp(layers: _Layers, x: Tensor) -> Output:
    x = x.flatten(1)
    for _ in range(4):
        x = layers.linear(x).relu()
    return Output(layers.linear(x), ())


def _convnet(layers: _Layers, x: Tensor) -> Output:
    for _ in range(2):
        x = F.max_pool2d(layers.norm(layers.conv(x, padding=3)).relu(), 2)
    x = layers.linear(layers.norm(x.flatten(1))).relu()
    return Output(layers.linear(x), ())


def _trunk(layers: _Layers, x: Tensor, has_head: bool) -> tuple[Tensor, Tensor | None]:
    tenth = x
    for i in range(20):
        x = layers.norm(layers.conv(x, padding=1)).relu()
        tenth = x if i == 9 else tenth
    x = layers.linear(F.avg_pool2d(x, 14).flatten(1))
    return x, layers.linear(F.avg_pool2d(tenth, 2).flatten(1)) if has_head else None


def _deepconvnet(layers: _Layers, x: Tensor, has_head: bool = False) -> Output:
    x, head = _trunk(layers, x, has_head)
    return Output(x, () if head is None else (torch.stack([head[:, :10], head[:, 10:]], 1),))


def _deepconvnet_aux(layers: _Layers, x: Tensor) -> Output:
    return _deepconvnet(layers, x, has_head=True)


def _resnet(layers: _Layers, x: Tensor) -> Output:
    for i in range(10):
        inner = layers.norm(layers.conv(x)).relu()
        inner = layers.norm(layers.conv(inner, padding=1)).relu()
        inner = layers.norm(layers.conv(inner))
        x = (inner + (x if i else layers.norm(layers.conv(x)))).relu()
    return Output(layers.linear(F.avg_pool2d(x, 14).flatten(1)), ())


def _siamese(layers: _Layers, x: Tensor, has_head: bool = False) -> Output:
    n = len(x)
    both, head = _trunk(layers, torch.cat([x[:, :1], x[:, 1:]]), has_head)
    comparison = layers.linear(both[:n] - both[n:])
    if head is None:
        return Output(comparison, ())
    predictions = (torch.stack([p[:n], p[n:]], 1) for p in (head, both))
    return Output(comparison, tuple(predictions))


def _siamese_aux(layers: _Layers, x: Tensor) -> Output:
    return _siamese(layers, x, has_head=True)


REFERENCES = {
    "mlp": _mlp,
    "convnet": _convnet,
    "deepconvnet": _deepconvnet,
    "resnet": _resnet,
    "deepconvnet-aux": _deepconvnet_aux,
    "siamese": _siamese,
    "siamese-aux": _siamese_aux,
}


@pytest.mark.parametrize("name", MODELS)
def test_network_is_that_of_the_table(name: str) -> None:
    model = build_model(ModelConfig(name=name, width=8)).double()
    random = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        # Batch normalisation's own parameters start as the identity, which would hide their place.
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.2, 1, generator=random)
    without_dropout(model)
    x_N2HW = torch.rand(6, 2, 14, 14, generator=random, dtype=torch.float64)
    with torch.no_grad():
        found, expected = model(x_N2HW), REFERENCES[name](_Layers(model), x_N2HW)
    # A network that says the same of all pairs would prove nothing.
    assert found.comparison_N2.std(0).min() > 1e-3
    torch.testing.assert_close(found.comparison_N2, expected.comparison_N2)
    assert len(found.digits) == len(expected.digits)
    for mine, plain in zip(found.digits, expected.digits, strict=True):
        torch.testing.assert_close(mine, plain)
