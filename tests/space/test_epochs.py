"""The shape of an epoch, what is measured, and which epoch's state is kept."""

from __future__ import annotations

import json
import math

import pytest

from space.epochs import Epoch, kept_epoch
from space.metrics import Measured, Metric
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

FLOWERS = Measured(
    metrics=(
        Metric(name="val_accuracy", words="validation accuracy", unit="%", maximize=True),
        Metric(name="val_loss", words="validation loss"),
        Metric(name="test_accuracy", words="test accuracy", unit="%", maximize=True),
    ),
    kept_by=("val_accuracy", "val_loss"),
)


def epochs(*pairs: tuple[float, float], first: str) -> list[Epoch]:
    return [
        Epoch(epoch=number, metrics={first: value, "val_loss": loss}, seconds=1.0)
        for number, (value, loss) in enumerate(pairs, start=1)
    ]


@pytest.mark.parametrize(
    ("measured", "first", "sign"),
    [(DIGIT_PAIRS, "val_error", 1), (FLOWERS, "val_accuracy", -1)],
    ids=["minimised", "maximised"],
)
def test_the_kept_epoch_is_the_first_of_the_best(measured: Measured, first: str, sign: int) -> None:
    values = [(0.5, 0.9), (0.2, 0.5), (0.2, 0.4), (0.2, 0.4), (0.3, 0.1), (math.nan, 0.0)]
    run = epochs(*((sign * value, loss) for value, loss in values), first=first)
    kept = [kept_epoch(run[:n], measured.rule) for n in range(len(run) + 1)]
    assert [each and each.epoch for each in kept] == [None, 1, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_worse_than_any(lost: float) -> None:
    one, two = epochs((lost, 0.1), (0.9, 9.0), first="val_error")
    assert two.replaces(one, DIGIT_PAIRS.rule)
    assert not one.replaces(two, DIGIT_PAIRS.rule)
    assert (one.is_finite(), two.is_finite()) == (False, True)


def test_what_was_not_measured_is_no_number() -> None:
    (epoch,) = epochs((0.5, 0.5), first="val_error")
    assert epoch["val_error"] == 0.5
    assert math.isnan(epoch["val_f1"])


def test_what_is_measured_comes_back_from_json() -> None:
    assert Measured.of_json(json.loads(json.dumps(FLOWERS.as_json()))) == FLOWERS


def test_metrics_say_what_they_are() -> None:
    assert FLOWERS.judged_by.title == "test accuracy (%)"
    assert FLOWERS.metric("val_accuracy").extreme == "highest"
    assert not FLOWERS.metric("val_accuracy", maximize=False).maximize
    assert FLOWERS.metric("train_seconds").unit == "s"
    assert FLOWERS.metric("other").title == "other"
