"""Streams of random numbers: each its own, and what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.loop.training import Training
from trainables.seeds import Stream, derive_seed

SEEDS = st.integers(0, 2**63 - 1)
MakeTraining = Callable[..., Training]


@given(seed=SEEDS)
def test_derived_seeds_are_seeds_and_differ_between_streams(seed: int) -> None:
    derived = [derive_seed(seed, stream, *place) for stream in Stream for place in ((), (1,), (2,))]
    assert all(0 <= d < 2**63 for d in derived)
    assert len(set(derived)) == len(derived)


def test_streams_are_what_they_were() -> None:
    """Every recorded result depends on these numbers: a change here orphans all of them."""
    assert derive_seed(0, Stream.TRAIN_DRAW) == 2_918_264_622_725_855_778
    assert derive_seed(2**63 - 1, Stream.ORDER, 3) == 5_643_292_775_083_761_292


def _drawn(run: Training) -> dict[str, Any]:
    """What a run of augmented pairs draws, by the setting that has its seed."""
    weight = next(run.network.parameters()).detach().clone()
    samples, keys = run.begin_epoch()
    return {
        "init_seed": weight.tolist(),
        "order_seed": samples["x"][:, 0].tolist(),
        "augmentation_seed": samples["x"][:, 1].tolist(),
        "dropout_seed": keys.tolist(),
    }


def test_each_role_has_a_stream_that_no_other_shifts(make_training: MakeTraining) -> None:
    def drawn(name: str = "convnet", **values: Any) -> dict[str, Any]:
        return _drawn(make_training(name, 4, data__augment=True, **values))

    usual, other = drawn(), drawn(training__training_seed=5)
    for role in usual:
        assert usual[role] != other[role]
        alone = drawn(**{f"training__{role}": 5})
        assert {r for r in usual if alone[r] != usual[r]} == {role}
        assert alone[role] == other[role]
    # Another network, with more random numbers in it, sees the same pairs in the same order.
    deep = drawn("deepconvnet")
    assert all(deep[role] == usual[role] for role in usual if role != "init_seed")


def test_weights_come_from_the_seed_alone(make_training: MakeTraining) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = make_training("resnet", 4, training__training_seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again = make_training("resnet", 4, training__training_seed=3)
    for a, b in zip(one.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("epoch", [1, 2])
def test_epochs_differ(epoch: int, make_training: MakeTraining) -> None:
    run = make_training("convnet", 4, data__augment=True)
    for _ in range(epoch):
        before, _ = run.begin_epoch()
        run.run_epoch()
    after, _ = run.begin_epoch()
    assert not torch.equal(before["x"], after["x"])
