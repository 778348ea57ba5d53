"""Pairs of digits: how they are drawn, held out, and put in order for an epoch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from space.errors import DataError
from trainables.contract.held_out import n_held_out
from trainables.contract.split_data import Batch, SplitData
from trainables.loop.training import draw_parts, draw_test
from trainables.seeds import Stream, generator
from trainables.shipped.digit_pairs.config import DataConfig, ModelConfig
from trainables.shipped.digit_pairs.task import DigitPairs, PairOptions

SEEDS = st.integers(0, 2**63 - 1)
N_IMAGES = 60
N_TRAIN = st.integers(1, 30)


def _numbered(split: str) -> SplitData:
    """Images whose every pixel is their own number, so that a pair tells where it came from."""
    number_N = torch.arange(N_IMAGES)
    images_NHW = number_N.float()[:, None, None].expand(N_IMAGES, 14, 14).contiguous()
    return SplitData.build("digits", split, {"image": images_NHW, "label": number_N * 7 % 10})


TRAIN, TEST = _numbered("train"), _numbered("test")


def _task(**data: object) -> DigitPairs:
    config = DataConfig.model_validate({"source": "digits", **data})
    return DigitPairs(PairOptions(data=config, model=ModelConfig(name="mlp")))


def _pairs(n: int, seed: int = 0, stream: Stream = Stream.TRAIN_DRAW) -> Batch:
    return _task(n_train_pairs=n).draw(TRAIN.tensors, "train", generator(seed, stream))


def _numbers(pairs: Batch) -> list[int]:
    assert torch.equal(pairs["x"].amax((2, 3)), pairs["x"].amin((2, 3)))
    return [int(n) for n in pairs["x"][:, :, 0, 0].flatten().tolist()]


@given(seed=SEEDS, n_pairs=st.integers(2, N_IMAGES // 2))
def test_pairs_repeat_no_image_and_have_their_own_targets(seed: int, n_pairs: int) -> None:
    pairs = _pairs(n_pairs, seed)
    numbers = _numbers(pairs)
    assert pairs["x"].shape == (n_pairs, 2, 14, 14)
    assert len(set(numbers)) == 2 * n_pairs == len(numbers)
    assert pairs["classes"].flatten().tolist() == [n * 7 % 10 for n in numbers]
    assert pairs["target"].tolist() == [int(a <= b) for a, b in pairs["classes"].tolist()]


@given(seed=SEEDS, n_pairs=st.integers(2, 30), fraction=st.floats(0.01, 0.99))
def test_train_and_validation_share_no_image(seed: int, n_pairs: int, fraction: float) -> None:
    both = draw_parts(_task(n_train_pairs=n_pairs, validation_fraction=fraction), TRAIN, seed)
    train, validation = _numbers(both["train"]), _numbers(both["val"])
    assert train
    assert validation
    assert not set(train) & set(validation)
    assert sorted(train + validation) == sorted(_numbers(_pairs(n_pairs, seed)))


def test_split_is_random_and_has_the_study_s_sizes() -> None:
    assert n_held_out(1000, 0.1) == 100
    both = draw_parts(_task(n_train_pairs=30), TRAIN, 3)
    assert (len(both["train"]["x"]), len(both["val"]["x"])) == (27, 3)
    assert set(_numbers(both["val"])) != set(_numbers(_pairs(30, 3))[:6])


@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_seed_gives_the_same_pairs_and_another_seed_others(seed: int) -> None:
    task = _task(n_train_pairs=30, n_test_pairs=30)

    def drawn(data_seed: int) -> list[list[int]]:
        both, test = draw_parts(task, TRAIN, data_seed), draw_test(task, TEST, data_seed)
        return [_numbers(both["train"]), _numbers(both["val"]), _numbers(test)]

    torch.rand(1)
    one, again, other = drawn(seed), drawn(seed), drawn((seed + 1) % 2**63)
    assert one == again
    assert one[0] != other[0]
    assert one[2] != other[2]
    # The streams of one seed are unrelated: the test draw is not the training draw over again.
    assert one[2] != _numbers(_pairs(30, seed))


def test_pairs_of_the_wrong_split_are_refused() -> None:
    with pytest.raises(ValueError, match="the train split is wanted here, not the test split"):
        draw_parts(_task(n_train_pairs=5), TEST, 0)
    with pytest.raises(ValueError, match="the test split is wanted here, not the train split"):
        draw_test(_task(n_test_pairs=5), TRAIN, 0)


def test_too_many_pairs_name_the_most() -> None:
    draw_parts(_task(n_train_pairs=30), TRAIN, 0)
    with pytest.raises(DataError, match=r"n_train_pairs is 31, .* suffice for 30 pairs"):
        draw_parts(_task(n_train_pairs=31), TRAIN, 0)
    with pytest.raises(DataError, match=r"n_test_pairs is 31, .* suffice for 30 pairs"):
        draw_test(_task(n_test_pairs=31), TEST, 0)


def test_default_numbers_fit_the_digits(digits: SplitData, digits_test: SplitData) -> None:
    both = draw_parts(_task(), digits, 0)
    assert (len(both["train"]["x"]), len(both["val"]["x"])) == (540, 60)
    assert len(draw_test(_task(), digits_test, 0)["x"]) == 298


def _epoch(pairs: Batch, seed: int, *, augment: bool) -> Batch:
    generators = (generator(seed, stream) for stream in (Stream.ORDER, Stream.AUGMENTATION))
    return _task(augment=augment).epoch(pairs, *generators)


@given(seed=SEEDS, n_train=st.integers(2, 30))
def test_augmentation_visits_each_image_once_as_first(seed: int, n_train: int) -> None:
    pairs = _pairs(n_train)
    numbers = _numbers(_epoch(pairs, seed, augment=True))
    assert len(numbers) == 4 * n_train
    assert sorted(numbers[::2]) == sorted(_numbers(pairs))
    assert set(numbers[1::2]) <= set(_numbers(pairs))


def test_second_images_are_uniform_with_replacement() -> None:
    pairs = _pairs(10)
    epochs = [_numbers(_epoch(pairs, seed, augment=True))[1::2] for seed in range(500)]
    counts = torch.tensor(epochs).flatten().bincount()
    counts = counts[counts > 0]
    # 10,000 draws: 500 expected for each image, standard deviation 21.8.
    assert len(counts) == 20
    assert (counts - 500).abs().max() < 5 * 21.8
    assert all(len(set(seconds)) < 20 for seconds in epochs)


@given(seed=SEEDS, n_train=st.integers(2, 30))
def test_without_augmentation_every_pair_comes_once(seed: int, n_train: int) -> None:
    pairs = _pairs(n_train)
    numbers, drawn = _numbers(pairs), _numbers(_epoch(pairs, seed, augment=False))
    both = [sorted(zip(each[::2], each[1::2], strict=True)) for each in (numbers, drawn)]
    assert both[0] == both[1]
