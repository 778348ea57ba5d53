"""The random numbers of an epoch."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.counts import n_epoch_pairs
from trainables.data.epoch_draws import draw_epoch
from trainables.models.layers import Dropout

N_TRAIN = st.integers(1, 60)
SEEDS = st.integers(0, 2**63 - 1)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=SEEDS, n_train=N_TRAIN)
def test_augmentation_visits_each_image_once_as_first(seed: int, n_train: int) -> None:
    index_P2 = draw_epoch(_generator(seed), n_train, augment=True, dropouts=()).index_P2
    assert index_P2.shape == (2 * n_train, 2) == (n_epoch_pairs(n_train, augment=True), 2)
    assert sorted(index_P2[:, 0].tolist()) == list(range(2 * n_train))
    assert 0 <= index_P2[:, 1].min() <= index_P2[:, 1].max() < 2 * n_train


def test_second_images_are_uniform_with_replacement() -> None:
    generator = _generator(0)
    epochs = [draw_epoch(generator, 10, augment=True, dropouts=()) for _ in range(500)]
    seconds = torch.cat([epoch.index_P2[:, 1] for epoch in epochs])
    counts = seconds.bincount(minlength=20)
    # 10,000 draws: 500 expected for each image, standard deviation 21.8.
    assert (counts - 500).abs().max() < 5 * 21.8
    repeated = [len(set(e.index_P2[:, 1].tolist())) < 20 for e in epochs]
    assert all(repeated)


@given(seed=SEEDS, n_train=N_TRAIN)
def test_without_augmentation_every_pair_comes_once(seed: int, n_train: int) -> None:
    index_P2 = draw_epoch(_generator(seed), n_train, augment=False, dropouts=()).index_P2
    assert len(index_P2) == n_train == n_epoch_pairs(n_train, augment=False)
    assert sorted(index_P2.tolist()) == [[2 * i, 2 * i + 1] for i in range(n_train)]


@settings(max_examples=20)
@given(seed=SEEDS)
def test_epochs_of_one_generator_differ(seed: int) -> None:
    generator = _generator(seed)
    dropouts = (Dropout(0.5, 30), Dropout(0.2, 20, rows_per_pair=2))
    one, two = (draw_epoch(generator, 40, augment=False, dropouts=dropouts) for _ in range(2))
    assert not torch.equal(one.index_P2, two.index_P2)
    assert [k.shape for k in one.keep_PRF] == [(40, 1, 30), (40, 2, 20)]
    for a, b in zip(one.keep_PRF, two.keep_PRF, strict=True):
        assert not torch.equal(a, b)
    again = draw_epoch(_generator(seed), 40, augment=False, dropouts=dropouts)
    assert torch.equal(again.index_P2, one.index_P2)
    assert all(torch.equal(a, b) for a, b in zip(again.keep_PRF, one.keep_PRF, strict=True))
