"""Networks of any layers are batched as they are, and the optimizer's steps are torch's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.trainables.conftest import in_float64
from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.models.base import Output, PairModel

MakeTraining = Callable[..., Training]


class Assorted(PairModel):
    """Layers that the networks of the report do not have."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.strided = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False)
        self.plain = nn.BatchNorm2d(4, affine=False, track_running_stats=False)
        self.same = nn.Conv2d(4, 4, 3, padding="same", padding_mode="reflect")
        self.grouped = nn.Conv2d(4, 8, 3, groups=2, dilation=2)
        self.oblong = nn.Conv2d(8, 6, (1, 3), padding=(2, 0))
        self.norm = nn.LayerNorm(6)
        self.linear = nn.Linear(6, width, bias=False)
        self.dropout = nn.Dropout(0.25)
        self.out = nn.Linear(width, 2)
        self.unused = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.full((width,), 0.5), requires_grad=False)

    def forward(self, x_N2HW: Tensor) -> Output:
        x = self.plain(self.strided(x_N2HW / 255))
        x = F.max_pool2d(F.gelu(self.same(x)), 3, stride=1, padding=1)
        x = F.avg_pool2d(self.oblong(self.grouped(x)), (2, 1), ceil_mode=True)
        # A linear layer over more than two dimensions.
        x = self.linear(self.norm(x.flatten(2).transpose(1, 2))) * self.frozen
        return Output(self.out(self.dropout(torch.tanh(x).amax(1))), ())


@pytest.fixture
def make_assorted(
    make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Training]:
    """Builds the i-th of some runs of that network, in float64."""
    monkeypatch.setitem(MODELS, "assorted", Assorted)

    def make(i: int) -> Training:
        run = make_training(
            "assorted",
            8,
            training__training_seed=i,
            training__weight_decay=0.1 * i,
            data__augment=True,
        )
        return in_float64(run)

    return make


@pytest.mark.parametrize("trace_after", [0, 1_000])
def test_a_network_of_other_layers_is_batched_as_it_is(
    trace_after: int, make_assorted: Callable[[int], Training]
) -> None:
    runs = [make_assorted(i) for i in range(3)]
    batch = TrainingBatch(runs, trace_after=trace_after)
    while batch.runs:
        batch.run_epoch()
    for i, run in enumerate(runs):
        alone = make_assorted(i)
        while not alone.finished:
            alone.run_epoch()
        for one, two in zip(alone.history, run.history, strict=True):
            assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-9)
            assert two["val_loss"] == pytest.approx(one["val_loss"], rel=1e-9)
        for name, tensor in alone.network.state_dict().items():
            torch.testing.assert_close(run.network.state_dict()[name], tensor, rtol=0, atol=1e-8)
        assert run.network.get_parameter("unused").tolist() == [1.0, 1.0, 1.0]
