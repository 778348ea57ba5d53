"""The networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from space.errors import ModelError
from tests.trainables.conftest import without_dropout
from trainables.shipped.digit_pairs.config import ModelConfig
from trainables.shipped.digit_pairs.models import MODELS, PairModel, build_model, check_model
from trainables.shipped.digit_pairs.models.layers import scaled

PARAMETERS = {
    "mlp": 279_562,
    "convnet": 77_530,
    "deepconvnet": 2_700_834,
    "resnet": 2_746_626,
    "deepconvnet-aux": 2_826_294,
    "siamese": 2_699_968,
    "siamese-aux": 2_762_698,
}
N_DIGIT_PREDICTIONS = {"deepconvnet-aux": 1, "siamese-aux": 2}


def test_a_width_beyond_all_memory_is_refused() -> None:
    refused = pytest.raises(ModelError, match=r"model.width 1000000000 gives 'mlp' more weights")
    with refused, torch.device("meta"):
        build_model(ModelConfig(name="mlp", width=10**9))


def _small(name: str, width: int = 4) -> PairModel:
    return build_model(ModelConfig(name=name, width=width))


def _pairs(n: int = 5) -> torch.Tensor:
    return torch.rand(n, 2, 14, 14, generator=torch.Generator().manual_seed(1)) * 255


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameters_at_the_report_s_width(name: str, count: int) -> None:
    assert _small(name, 128).n_parameters() == count


def test_registry_is_the_report_s_table() -> None:
    assert list(MODELS) == list(PARAMETERS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("width", [1, 4, 7])
def test_outputs(name: str, width: int) -> None:
    model = _small(name, width).eval()
    output = model(_pairs())
    assert output.comparison_N2.shape == (5, 2)
    assert [d.shape for d in output.digits] == [(5, 2, 10)] * N_DIGIT_PREDICTIONS.get(name, 0)
    assert model.has_aux == (name in N_DIGIT_PREDICTIONS)


@pytest.mark.parametrize("name", MODELS)
def test_width_scales_the_whole_network(name: str) -> None:
    half, full = _small(name, 64).n_parameters(), PARAMETERS[name]
    assert 0.2 < half / full < 0.6


@pytest.mark.parametrize(
    ("n", "width", "expected"), [(350, 128, 350), (350, 64, 175), (20, 16, 2), (16, 1, 1)]
)
def test_scaled(n: int, width: int, expected: int) -> None:
    assert scaled(n, width) == expected


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_takes_part(name: str) -> None:
    model = _small(name)
    without_dropout(model)
    output = model(_pairs())
    total = output.comparison_N2.square().sum() + sum(d.square().sum() for d in output.digits)
    total.backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize("training", [True, False])
def test_siamese_shares_its_weights(training: bool) -> None:
    model = _small("siamese-aux").train(training)
    without_dropout(model)
    x_N2HW = _pairs()
    one, swapped = model(x_N2HW), model(x_N2HW.flip(1))
    for a_N2K, b_N2K in zip(one.digits, swapped.digits, strict=True):
        torch.testing.assert_close(a_N2K, b_N2K.flip(1))
    # The comparison is linear in the difference, so swapping mirrors it about the bias.
    bias = model.fc.bias
    torch.testing.assert_close(one.comparison_N2 - bias, bias - swapped.comparison_N2)


def test_siamese_normalises_over_both_images() -> None:
    model = _small("siamese")
    seen: list[tuple[int, ...]] = []
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape)))
    without_dropout(model)
    model(_pairs())
    assert seen == [(10, 4, 14, 14)]


def test_head_sits_after_the_tenth_of_twenty_convolutions() -> None:
    for name in ("deepconvnet-aux", "siamese-aux"):
        model = _small(name)
        convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
        assert len(convs) == 20
        seen: list[object] = []
        for module in [*convs, model.trunk.head]:
            module.register_forward_hook(lambda m, _i, _o, seen=seen: seen.append(m))
        model.eval()(_pairs())
        assert seen.index(model.trunk.head) == 10


def test_unknown_names_come_with_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"no model 'siamse'.*did you mean 'siamese'\?"):
        check_model(ModelConfig(name="siamse"))
    with pytest.raises(ModelError, match=r"options\.dropuot: .*did you mean 'dropout'\?"):
        check_model(ModelConfig(name="convnet", options={"dropuot": 0.5}))
    with pytest.raises(ModelError, match="it has: none"):
        check_model(ModelConfig(name="mlp", options={"dropout": 0.5}))
    with pytest.raises(ModelError, match=r"options\.width"):
        check_model(ModelConfig(name="mlp", options={"width": 3}))


@pytest.mark.parametrize("value", [1.0, -0.1, True, "half"])
def test_options_are_checked_against_the_constructor(value: float | bool | str) -> None:
    with pytest.raises(ModelError, match=r"model\.options\.dropout of 'resnet' is"):
        check_model(ModelConfig(name="resnet", options={"dropout": value}))


def test_options_are_filled_in_and_reach_the_network() -> None:
    assert check_model(ModelConfig(name="siamese")).options == {"dropout": 0.5}
    assert check_model(ModelConfig(name="mlp")).options == {}
    assert check_model(ModelConfig(name="siamese", options={"dropout": 0})).options == {
        "dropout": 0.0
    }
    built = build_model(ModelConfig(name="siamese", width=2, options={"dropout": 0.25}))
    assert [m.p for m in built.modules() if isinstance(m, nn.Dropout)] == [0.25]
