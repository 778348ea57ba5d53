"""What a consistent space answers: active parameters, configs, grids, rungs, identity."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from space import Space, load_tree, parse_space
from space.errors import SpaceError

Build = Callable[..., Space]


def test_parameters_come_after_those_they_depend_on(build: Build) -> None:
    assert list(build().parameters) == ["model", "aux_weight", "learning_rate", "width"]


def test_active_follows_conditions(build: Build) -> None:
    space = build()
    assert space.active({"model": "siamese-aux"}) == list(space.parameters)
    assert space.active({"model": "siamese"}) == ["model", "learning_rate", "width"]
    assert not space.parameters["aux_weight"].is_active({})
    assert space.parameters["width"].is_active({})


def test_a_child_of_an_inactive_parent_is_inactive(build: Build) -> None:
    space = build(
        "parameters.weight_decay={type: float, low: 0, high: 1, "
        "when: {parameter: aux_weight, above: 0.5}}"
    )
    params = {"model": "siamese", "aux_weight": 0.9, "weight_decay": 0.5}
    assert "weight_decay" not in space.active(params)
    assert "weight_decay" in space.active({**params, "model": "siamese-aux"})


def test_resolve_lays_params_over_the_fixed_config(build: Build) -> None:
    space = build("parameters.options.dropout={type: float, low: 0, high: 0.7}")
    config = space.resolve(
        {"model": "siamese", "learning_rate": 0.002, "width": 48, "options.dropout": 0.1}
    )
    assert (config.model.name, config.model.width) == ("siamese", 48)
    assert config.model.options == {"dropout": 0.1}
    assert config.training.learning_rate == 0.002
    assert config.training.epochs == 9
    assert space.resolve({}) == space.config


def test_resolve_disregards_inactive_parameters(build: Build) -> None:
    assert build().resolve({"model": "siamese", "aux_weight": 0.1}).training.aux_weight == 0.6


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {"lerning_rate": 1},
            "parameter 'lerning_rate' is not searched; searched: model, aux_weight, "
            "learning_rate, width; did you mean 'learning_rate'?",
        ),
        ({"learning_rate": -1.0}, "training.learning_rate: found -1; expected more than 0"),
        ({"width": 2.5}, "model.width: found 2.5; expected an integer"),
    ],
)
def test_resolve_refuses(build: Build, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpaceError) as caught:
        build().resolve(params)
    assert str(caught.value) == sentence


def test_parameter_paths(build: Build) -> None:
    space = build(
        "parameters.options.dropout={type: float, low: 0, high: 1}",
        "parameters.augment={type: categorical, choices: [true, false]}",
    )
    assert space.parameter_paths == {
        "model": "model.name",
        "aux_weight": "training.aux_weight",
        "learning_rate": "training.learning_rate",
        "width": "model.width",
        "options.dropout": "model.options.dropout",
        "augment": "data.augment",
    }


def test_baselines_take_what_they_lack_from_the_fixed_config(build: Build) -> None:
    fixed = {"model": "siamese-aux", "aux_weight": 0.6, "learning_rate": 0.001, "width": 32}
    assert build().baseline_params() == [fixed]
    assert build("baselines=[{width: 64, aux_weight: 0}]").baseline_params() == [
        {**fixed, "width": 64, "aux_weight": 0.0}
    ]
    inactive = build("baselines=[{model: siamese}]").baseline_params()
    assert inactive == [{"model": "siamese", "learning_rate": 0.001, "width": 32}]


def test_baseline_values_have_the_parameters_type(build: Build) -> None:
    params = build("baselines=[{aux_weight: 0}]").baseline_params()[0]
    assert isinstance(params["aux_weight"], float)


def test_grid(build: Build) -> None:
    space = build(
        "parameters={aux_weight: {type: float, low: 0, high: 0.2, step: 0.1}, "
        "width: {type: int, low: 8, high: 10}, model: {type: categorical, choices: [a, b]}}",
        "sampler={name: grid}",
        "baselines=[]",
    )
    assert space.grid() == {
        "aux_weight": [0.0, 0.1, 0.2],
        "width": [8, 9, 10],
        "model": ["a", "b"],
    }
    assert space.n_grid_points == 18


def test_a_space_without_a_grid_says_so(build: Build) -> None:
    with pytest.raises(SpaceError, match=r"^a grid has no conditions, but aux_weight has one$"):
        build().grid()


@pytest.mark.parametrize(
    ("pruner", "rungs"),
    [
        ("{name: asha}", [1, 3]),
        ("{name: asha, min_resource: 2, reduction_factor: 2}", [2, 4, 8]),
        ("{name: asha, min_early_stopping_rate: 1}", [3]),
        ("{name: asha, max_resource: 3}", [1]),
        ("{name: asha, min_resource: 9}", []),
        ("{name: hyperband, reduction_factor: 2}", [1, 2, 4, 8]),
        ("{name: median}", []),
        ("{name: none}", []),
    ],
)
def test_rungs(build: Build, pruner: str, rungs: list[int]) -> None:
    assert build(f"pruner={pruner}").rungs() == rungs


def test_a_space_comes_back_from_json(build: Build) -> None:
    space = build(
        "budget.time_limit=1h30m",
        "objective=[{metric: val_error}, {metric: n_parameters}]",
        "pruner={name: none}",
        "concurrency=3",
    )
    dumped = space.model_dump(mode="json")
    assert dumped["budget"]["time_limit"] == "1h30m"
    assert dumped["parameters"]["aux_weight"]["when"]["in"] == ["siamese-aux"]
    back = parse_space(json.loads(json.dumps(dumped)), "store")
    assert back == space
    assert list(back.parameters) == list(space.parameters)
    assert back.budget.time_limit == 5400.0


def test_sampler_defaults_to_tpe_also_where_only_its_seed_is_set(build: Build) -> None:
    assert build().sampler.name == "tpe"
    space = build("sampler.seed=7")
    assert (space.sampler.name, space.sampler.seed) == ("tpe", 7)


@pytest.mark.parametrize(
    ("override", "lines"),
    [
        ("parameters.learning_rate.high=0.005", []),
        ("parameters.width.step=8", []),
        ("budget.trials=99", []),
        ("sampler.seed=3", []),
        ("data.root=/elsewhere", []),
        ("training.device=cpu", []),
        ("training.learning_rate=0.002", []),
        ("model.width=64", []),
        ("baselines=[]", []),
        ("training.epochs=8", ["training.epochs: 9 before, 8 now"]),
        ("training.batch_size=10", ["training.batch_size: 50 before, 10 now"]),
        ("training.aux_weight=0.5", ["training.aux_weight: 0.6 before, 0.5 now"]),
        ("data.source=mnist", ["data.source: 'auto' before, 'mnist' now"]),
        ("model.options.dropout=0.4", ["model.options.dropout: 0.5 before, 0.4 now"]),
        (
            "objective.metric=val_loss",
            ["objective.0: 'minimize val_error' before, 'minimize val_loss' now"],
        ),
        (
            "parameters.model.choices=[siamese-aux]",
            ["parameters.model.choices: ['siamese', 'siamese-aux'] before, ['siamese-aux'] now"],
        ),
        (
            "parameters.learning_rate.log=false",
            ["parameters.learning_rate.log: true before, false now"],
        ),
        (
            "parameters.tf32={type: categorical, choices: [false]}",
            [
                "training.tf32: false before, absent now",
                "parameters.tf32.type: absent before, 'categorical' now",
                "parameters.tf32.choices: absent before, [false] now",
            ],
        ),
    ],
)
def test_difference(build: Build, override: str, lines: list[str]) -> None:
    before = json.loads(json.dumps(build().identity()))
    assert build(override).difference(before) == lines


def test_difference_tells_true_from_one(build: Build) -> None:
    before = build("model.options.flag=1").identity()
    after = build("model.options.flag=true")
    assert after.difference(before) == ["model.options.flag: 1 before, true now"]


def test_difference_with_terms_of_another_kind(build: Build) -> None:
    before = build().identity() | {"parameters.model.choices": 3, "parameters.width.type": ["int"]}
    assert build().difference(before) == [
        "parameters.model.choices: 3 before, ['siamese', 'siamese-aux'] now",
        "parameters.width.type: ['int'] before, 'int' now",
    ]


def test_spaces_are_frozen(build: Build) -> None:
    with pytest.raises(ValueError, match="frozen"):
        build().study = "other"  # type: ignore[misc]


def test_the_tree_is_left_as_it_is(tree: dict[str, Any]) -> None:
    before = json.dumps(tree)
    parse_space(tree, "x", ["training.epochs=3", "baselines.1={width: 64}"])
    assert json.dumps(tree) == before


def test_load_tree_reads_a_mapping() -> None:
    assert load_tree("space/siamese.yaml")["study"] == "siamese"
