"""Parameters: their values, their agreement with Optuna, conditions and order."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from space import CategoricalParameter, Condition, FloatParameter, IntParameter
from space.study.checks import ordered
from trainables.shipped.digit_pairs.config import DigitPairsConfig


def test_points_of_a_stepped_float_are_round() -> None:
    parameter = FloatParameter(type="float", low=0.0, high=0.9, step=0.1)
    assert parameter.points() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert parameter.n_points == 10


def test_points_of_ints_and_choices() -> None:
    assert IntParameter(type="int", low=2, high=8, step=3).points() == [2, 5, 8]
    assert IntParameter(type="int", low=-1, high=1).points() == [-1, 0, 1]
    assert CategoricalParameter(type="categorical", choices=("b", "a")).points() == ["b", "a"]


def test_continuous_and_logarithmic_ranges_have_no_points() -> None:
    assert FloatParameter(type="float", low=0, high=1).n_points is None
    assert IntParameter(type="int", low=1, high=8, log=True).n_points is None


def test_cells_of_equal_size_cover_the_range_on_its_scale() -> None:
    linear = FloatParameter(type="float", low=0.8, high=1.0)
    assert linear.centres(4) == pytest.approx([0.825, 0.875, 0.925, 0.975])
    whole = IntParameter(type="int", low=1, high=1000, log=True)
    assert whole.centres(3) == [3, 32, 316]
    assert IntParameter(type="int", low=1, high=3, log=True).centres(9) == [1, 2, 3]


@pytest.mark.parametrize("value", [0, 1.0, True, "0.5", None, 0.55, -0.1, 1.1, float("nan")])
def test_values_that_a_float_does_not_contain(value: object) -> None:
    assert not FloatParameter(type="float", low=0.1, high=0.9, step=0.1).contains(value)


@pytest.mark.parametrize("value", [1, 17, 16.0, True, "16", None, 144])
def test_values_that_an_int_does_not_contain(value: object) -> None:
    assert not IntParameter(type="int", low=16, high=128, step=16).contains(value)


def test_a_choice_of_booleans_contains_no_numbers() -> None:
    parameter = CategoricalParameter(type="categorical", choices=(True, False))
    assert parameter.contains(True)
    assert not parameter.contains(1)
    assert not parameter.contains(0.0)


@given(st.integers(-1000, 1000), st.integers(1, 60), st.integers(0, 40), st.data())
def test_stepped_floats_agree_with_optuna(low: int, step: int, n: int, data: st.DataObject) -> None:
    low_float, step_float, high_float = low / 100, step / 100, (low + n * step) / 100
    parameter = FloatParameter(type="float", low=low_float, high=high_float, step=step_float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns where the range is not a multiple of the step
        theirs = optuna.distributions.FloatDistribution(low_float, high_float, step=step_float)
    points = parameter.points()
    assert len(points) == n + 1 == parameter.n_points
    assert all(parameter.contains(point) and theirs._contains(float(point)) for point in points)
    value = data.draw(st.floats(low_float - 1, high_float + 1))
    assert parameter.contains(value) == theirs._contains(value)


@given(
    st.floats(1e-3, 1e12) | st.floats(-1e12, -1e-3),
    st.floats(6.5, 10).map(lambda power: 10**-power),
    st.data(),
)
def test_steps_that_are_not_refused_have_points_that_optuna_knows(
    low: float, relative: float, data: st.DataObject
) -> None:
    low, step = float(f"{low:.9g}"), float(f"{abs(low) * relative:.3g}")
    high = float(Decimal(str(low)) + 1000 * Decimal(str(step)))
    try:
        parameter = FloatParameter(type="float", low=low, high=high, step=step)
    except ValidationError as error:
        # A step of 2e8 units in the last place of the largest value is enough.
        if "lost in the rounding" in str(error):
            assert step < 2e8 * math.ulp(max(abs(low), abs(high))) * 1.001
        return
    theirs = optuna.distributions.FloatDistribution(low, high, step=step)
    index = data.draw(st.integers(0, 1000))
    point = parameter.points()[index]
    assert parameter.contains(point)
    assert theirs._contains(point)
    assert parameter.spell(min(high, low + index * step)) == point


@given(st.integers(-50, 50), st.integers(1, 9), st.integers(0, 20), st.integers(-70, 300))
def test_stepped_ints_agree_with_optuna(low: int, step: int, n: int, value: int) -> None:
    parameter = IntParameter(type="int", low=low, high=low + n * step, step=step)
    theirs = optuna.distributions.IntDistribution(low, low + n * step, step=step)
    assert parameter.contains(value) == theirs._contains(value)
    assert parameter.contains(value) == (value in parameter.points())


@pytest.mark.parametrize(
    ("condition", "holds", "fails"),
    [
        ({"in": ["a", 2]}, ["a", 2], ["b", 3, True]),
        ({"in": [True]}, [True], [1, False]),
        ({"above": 1}, [1.5, 2], [1, 0]),
        ({"below": 1}, [0.5, 0], [1, 2]),
        ({"above": 1, "below": 3}, [2, 1.1], [1, 3, 4]),
    ],
)
def test_conditions_hold(condition: dict[str, Any], holds: list[Any], fails: list[Any]) -> None:
    when = Condition.model_validate({"parameter": "p", **condition})
    assert [when.holds(value) for value in holds] == [True] * len(holds)
    assert [when.holds(value) for value in fails] == [False] * len(fails)


_NAMES = ["options.a", "options.b", "options.c", "options.d", "options.e", "options.f"]


@given(st.permutations(_NAMES), st.permutations(_NAMES), st.lists(st.integers(0, 5), min_size=6))
def test_parents_precede_and_the_order_is_stable(
    file_order: list[str], ranks: list[str], choices: list[int]
) -> None:
    def parameter(name: str) -> CategoricalParameter:
        rank = ranks.index(name)
        when: dict[str, Any] | None = None
        if rank and choices[rank] % 2:
            when = {"parameter": ranks[choices[rank] % rank], "in": [1]}
        return CategoricalParameter.model_validate(
            {"type": "categorical", "choices": [1, 2], "when": when}
        )

    given_order = {name: parameter(name) for name in file_order}
    result = ordered(given_order, DigitPairsConfig)
    assert sorted(result) == sorted(file_order)
    position = {name: index for index, name in enumerate(result)}
    for name, each in result.items():
        assert each.when is None or position[each.when.parameter] < position[name]
    assert list(ordered(result, DigitPairsConfig)) == list(result)
    if all(each.when is None for each in given_order.values()):
        assert list(result) == list(file_order)
