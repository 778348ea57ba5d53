"""``--set``: what it changes, and how its mistakes are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from space import Override, Space, parse_override, parse_space
from space.errors import SpaceError
from trainables.shipped.digit_pairs.config import PairTrainingConfig

Build = Callable[..., Space]


def test_overrides_reach_every_section(build: Build) -> None:
    space = build(
        "training.epochs=10",
        "budget.trials=7",
        "budget.time_limit=2h",
        "parameters.learning_rate.low=1e-5",
        "parameters.options.dropout={type: float, low: 0, high: 0.5}",
        "parameters.options.dropout.high=0.6",
        "baselines.0.learning_rate=2e-3",
        "baselines.1={width: 64}",
        "baselines.1.options.dropout=0.25",
        "model.options.depth=3",
        "resources.cpus=2",
        "objective.metric=val_loss",
    )
    assert space.training.epochs == 10
    assert (space.budget.trials, space.budget.time_limit) == (7, 7200)
    assert space.parameters["learning_rate"].extremes()[0][1] == 1e-5
    assert space.parameters["options.dropout"].extremes()[1][1] == 0.6
    assert space.baselines == ({"learning_rate": 2e-3}, {"width": 64, "options.dropout": 0.25})
    assert space.model.options == {"dropout": 0.5, "depth": 3}
    assert space.resources.cpus == 2
    assert space.objectives[0].metric == "val_loss"


def test_later_overrides_prevail(build: Build) -> None:
    assert build("budget.trials=7", "budget.trials=8").budget.trials == 8


def test_an_override_with_its_own_label(tree: dict[str, Any]) -> None:
    override = Override(key="study", value="2024", label="--study 2024")
    assert parse_space(tree, "f", [override]).study == "2024"
    override = Override(key="budget.trials", value=0, label="--trials 0")
    with pytest.raises(SpaceError) as caught:
        parse_space(tree, "f", [override])
    assert str(caught.value) == "--trials 0: found 0; expected at least 1"


def test_values_are_yaml() -> None:
    assert parse_override("a.b=[1, x, 2e1]").value == [1, "x", 20.0]
    assert parse_override("a=").value is None
    assert parse_override("a=b=c").value == "b=c"
    assert parse_override(" a = 3 ").key == "a"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("training.epochs", "expected KEY=VALUE, such as training.epochs=10"),
        ("=3", "expected KEY=VALUE, such as training.epochs=10"),
        ("training.epochs=x", "found 'x'; expected an integer"),
        ("training..epochs=1", "'training..epochs' is not a key such as a.b.c"),
        ("study.x=1", "study is 'small', which holds no keys"),
        ("training.epochs.x=1", "training.epochs is 9, which holds no keys"),
        (
            "baselines.3.width=1",
            "baselines is a list of 1; expected an index from 0 to 1, found '3'",
        ),
        ("baselines.x=1", "baselines is a list of 1; expected an index from 0 to 1, found 'x'"),
        ("baselines.1=3", "found 3; expected a mapping"),
        (
            "training.epochs=[1",
            "line 1, column 3: not valid YAML: while parsing a flow sequence expected ',' or "
            "']', but got '<stream end>'",
        ),
        ("training=3", "found 3; expected a mapping"),
        ("budget={trials: 0}", "budget.trials: found 0; expected at least 1"),
        (
            "training.seed=1",
            f"unknown key; allowed: {', '.join(sorted(PairTrainingConfig.model_fields))}; did you "
            "mean 'init_seed'?",
        ),
    ],
)
def test_a_wrong_override_gets_its_sentence(build: Build, text: str, problem: str) -> None:
    with pytest.raises(SpaceError) as caught:
        build(text)
    assert str(caught.value) == f"--set {text}: {problem}"


def test_the_label_is_printable_and_short(build: Build) -> None:
    with pytest.raises(SpaceError) as caught:
        build("study=a\nb")
    assert str(caught.value).startswith("--set 'study=a\\nb': ")
    assert str(caught.value).isprintable()
    with pytest.raises(SpaceError) as caught:
        build("concurrency=" + "x" * 900)
    assert str(caught.value).startswith("--set 'concurrency=xxx")
    assert len(str(caught.value)) < 250


def test_too_long_and_too_deep_overrides(build: Build) -> None:
    assert build("study=" + "x" * 100 + " " * 894).study == "x" * 100
    with pytest.raises(SpaceError, match=r"too long; at most 1000 characters$"):
        build("training.epochs=" + "1" * 1000)
    with pytest.raises(SpaceError, match=r"is not a key such as a\.b\.c$"):
        build(".".join("a" * 30) + "=1")


def test_a_mistake_of_the_files_own_names_the_file(build: Build, tree: dict[str, Any]) -> None:
    tree["concurrency"] = 0
    with pytest.raises(SpaceError) as caught:
        build("training.epochs=10")
    assert str(caught.value).startswith("small.yaml: concurrency: ")


def test_of_two_overrides_the_one_in_force_is_blamed(build: Build) -> None:
    with pytest.raises(SpaceError) as caught:
        build("budget.trials=0", "budget.trials=-1")
    assert str(caught.value) == "--set budget.trials=-1: found -1; expected at least 1"
