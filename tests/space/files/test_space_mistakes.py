"""Every kind of mistake in a space file but in its parameters, with the exact sentence it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.launch.__main__ import main as launch
from space import Space
from space.__main__ import main as space_command
from space.errors import SpaceError
from space.terminal.command import run_command
from trainables.shipped.digit_pairs.config import PairTrainingConfig

from ..conftest import refusal

Build = Callable[..., Space]

_TRAINING_KEYS = ", ".join(sorted(PairTrainingConfig.model_fields))
_PRUNERS = "none, asha, hyperband, median, percentile, patient, threshold, wilcoxon, own"

# Where a value is put, the value (... removes the key), and what the sentence says after the file.
_BAD: list[tuple[str, Any, str]] = [
    # names and kinds of values
    (
        "lerning_rate",
        1,
        "lerning_rate: unknown key; allowed: baselines, budget, callbacks, concurrency, confirm, "
        "constraints, data, keep_weights, limits, model, objective, parameters, prune_baselines, "
        "pruner, replicates, resources, sampler, study, trainable, training, warm_start, "
        "without_gpu",
    ),
    (
        "training.lerning_rate",
        0.1,
        f"training.lerning_rate: unknown key; allowed: {_TRAINING_KEYS}; did you mean "
        "'learning_rate'?",
    ),
    ("study", ..., "study: required, but missing"),
    ("budget", ..., "budget: required, but missing"),
    ("model.name", ..., "model.name: required, but missing"),
    ("study", 7, "study: found 7; expected a string"),
    (
        "study",
        "../../etc",
        "study: found '../../etc'; expected 1 to 100 letters, digits, '.', '_' or '-', the first "
        "a letter, a digit or '_'",
    ),
    ("training", None, "training: found null; expected a mapping"),
    ("training", [1], "training: found a list; expected a mapping"),
    ("training.epochs", 0, "training.epochs: found 0; expected at least 1"),
    ("training.epochs", 2.5, "training.epochs: found 2.5; expected an integer"),
    ("training.epochs", "ten", "training.epochs: found 'ten'; expected an integer"),
    ("training.epochs", True, "training.epochs: found true; expected an integer"),
    ("training.tf32", "yes", "training.tf32: found 'yes'; expected true or false"),
    ("training.learning_rate", 0, "training.learning_rate: found 0; expected more than 0"),
    (
        "training.weight_decay",
        float("nan"),
        "training.weight_decay: found nan; expected a finite number",
    ),
    (
        "data.source",
        "minst",
        "data.source: found 'minst'; allowed: auto, mnist, digits; did you mean 'mnist'?",
    ),
    (
        "model.options.dropout",
        [0.5],
        "model.options.dropout: found a list; expected true or false, an integer, a number or a "
        "string",
    ),
    # sampler
    (
        "sampler",
        {"name": "tpee"},
        "sampler.name: found 'tpee'; allowed: tpe, random, grid, qmc, cmaes, gp, nsga2, pbt, own; "
        "did you mean 'tpe'?",
    ),
    (
        "sampler",
        {"name": "random", "n_startup_trials": 3},
        "sampler.n_startup_trials: unknown key of random; allowed: name, seed",
    ),
    ("sampler", {"seed": -1}, "sampler.seed: found -1; expected at least 0"),
    (
        "sampler",
        {"group": True, "multivariate": False},
        "sampler.group: found true; expected false, since multivariate is false",
    ),
    (
        "sampler",
        {"name": "cmaes", "with_margin": True, "lr_adapt": True},
        "sampler.lr_adapt: found true; expected false beside with_margin",
    ),
    (
        "sampler",
        {"name": "grid"},
        "sampler.name: a grid has no conditions, but aux_weight has one",
    ),
    # pruner
    ("pruner", {}, f"pruner.name: required, but missing; allowed: {_PRUNERS}"),
    (
        "pruner",
        {"name": "hyprband"},
        f"pruner.name: found 'hyprband'; allowed: {_PRUNERS}; did you mean 'hyperband'?",
    ),
    (
        "pruner.min_resource",
        10,
        "pruner.min_resource: found 10; expected at most training.epochs, 9",
    ),
    (
        "pruner",
        {"name": "hyperband", "min_resource": 3, "max_resource": 2},
        "pruner.min_resource: found 3; expected at most max_resource, 2",
    ),
    (
        "pruner.max_resource",
        10,
        "pruner.max_resource: found 10; expected at most training.epochs, 9",
    ),
    (
        "pruner",
        {"name": "median", "n_warmup_steps": 12},
        "pruner.n_warmup_steps: found 12; expected at most training.epochs, 9",
    ),
    ("pruner", {"name": "percentile"}, "pruner.percentile: required, but missing"),
    ("pruner", {"name": "threshold"}, "pruner: expected 'lower' or 'upper' or both"),
    (
        "pruner",
        {"name": "threshold", "lower": 2, "upper": 1},
        "pruner.lower: found 2; expected at most upper, 1",
    ),
    (
        "pruner",
        {"name": "patient", "patience": 2, "pruner": {"name": "asha", "min_resource": 10}},
        "pruner.pruner.min_resource: found 10; expected at most training.epochs, 9",
    ),
    (
        "pruner",
        {"name": "patient", "patience": 2, "pruner": {"name": "patient", "patience": 1}},
        "pruner.pruner.name: found 'patient'; allowed: asha, hyperband, median, percentile, "
        "threshold, own",
    ),
    # objective
    (
        "objective",
        {"metric": "test_error"},
        "objective.metric: found 'test_error'; allowed: train_error, val_error, train_loss, "
        "val_loss, train_seconds, n_parameters; did you mean 'train_error'?",
    ),
    ("objective", "val_error", "objective: found 'val_error'; expected a list"),
    ("objective", [], "objective: empty; expected at least one entry"),
    (
        "objective",
        {"metric": "train_seconds"},
        "objective: found train_seconds alone, which say nothing of how well a run does; "
        "expected a metric of the epochs beside them",
    ),
    (
        "objective",
        [{"metric": "val_error"}, {"metric": "n_parameters"}],
        "pruner.name: found 'asha'; expected none, since a study of several objectives cannot "
        "prune",
    ),
    # baselines
    ("baselines", {}, "baselines: found a mapping; expected a list"),
    (
        "baselines",
        [{"widht": 16}],
        "baselines.0.widht: unknown parameter; searched: model, aux_weight, learning_rate, width; "
        "did you mean 'width'?",
    ),
    (
        "baselines",
        [{"width": 17}],
        "baselines.0.width: found 17; expected a whole number from 16 to 128 in steps of 16",
    ),
    (
        "baselines",
        [{"model": "siamese", "aux_weight": 0.1}],
        "baselines.0.aux_weight: inactive here, since its condition does not hold",
    ),
    ("baselines", [{}, {"width": 32}], "baselines.1: the same as baselines.0"),
    (
        "training.aux_weight",
        None,
        "baselines.0: aux_weight is missing, and the fixed training.aux_weight, null, is not a "
        "number from 0 to 0.9 in steps of 0.1",
    ),
    # budget, resources, concurrency
    ("budget", {}, "budget: a study must end; expected one of trials, time_limit and epochs"),
    ("budget.trials", 0, "budget.trials: found 0; expected at least 1"),
    (
        "budget.time_limit",
        "10 minutes",
        "budget.time_limit: found '10 minutes'; expected a duration such as 90s, 10m, 1h30m or 2h",
    ),
    ("budget.time_limit", 0, "budget.time_limit: found 0; expected more than 0"),
    ("resources", {"cpus": 0}, "resources.cpus: found 0; expected more than 0"),
    (
        "resources",
        {"gpus": 1.5},
        "resources.gpus: found 1.5; expected a whole number or less than 1",
    ),
    (
        "resources",
        {"strategy": "ddp"},
        "resources.strategy: ddp has a process for each GPU; expected gpus: 2 or more, or gpus: 0 "
        "and processes: 2 or more",
    ),
    (
        "resources",
        {"processes": 2},
        "resources.processes: only strategy: ddp has several; add it, or leave this out",
    ),
    (
        "resources",
        {"gpus": 2, "strategy": "ddp", "processes": 3},
        "resources.processes: found 3; with gpus: 2 each has one, leave this out",
    ),
    (
        "resources",
        {"gpus": 2, "strategy": "ddp", "cpus": 3},
        "resources.cpus: found 3 for 2 processes; expected a multiple of their number, or less "
        "than one each",
    ),
    (
        "resources",
        {"gpus": 0, "strategy": "ddp", "processes": 2, "runs_per_trainable": 4},
        "resources.runs_per_trainable: runs that several processes train are not trained many as "
        "one model; expected auto or 1",
    ),
    ("concurrency", "all", "concurrency: found 'all'; expected 'auto' or an integer"),
    ("concurrency", 0, "concurrency: found 0; expected 'auto' or at least 1"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), _BAD, ids=[row[2][:60] for row in _BAD])
def test_a_mistake_gets_its_sentence(
    tree: dict[str, Any], tmp_path: Path, key: str, value: Any, sentence: str
) -> None:
    path = tmp_path / "bad.yaml"
    assert refusal(tree, path, key, value) == f"{path}: {sentence}"


def test_several_mistakes_are_told_a_line_each(build: Build) -> None:
    with pytest.raises(SpaceError) as caught:
        build("training.epochs=0", "budget.trials=0", "concurrency=x")
    assert caught.value.lines == (
        "--set training.epochs=0: found 0; expected at least 1",
        "--set budget.trials=0: found 0; expected at least 1",
        "--set concurrency=x: found 'x'; expected 'auto' or an integer",
    )
    assert str(caught.value) == "\n".join(caught.value.lines)


_SEVERAL = """\
study: several

model:
  name: mlp
  witdh: 8
training: {epochs: 0}
parameters:
  learning_rate: {type: float, low: 0.1, high: 0.01}
  width:
    type: int
    low: 16
budget: {}
"""
_CONTRADICTIONS = """\
study: several
model: {name: mlp}
training: {epochs: 9}
parameters:
  learning_rate: {type: float, low: 0, high: 1}
  weight_decay: {type: float, low: -1, high: 1}
objective:
  - {metric: val_error}
  - {metric: val_error}
pruner:
  name: asha
  min_resource: 10
baselines:
  - {learning_rate: 2}
budget: {trials: 1}
"""


@pytest.mark.parametrize(
    ("text", "overrides", "lines"),
    [
        (
            _SEVERAL,
            ["concurrency=x"],
            [
                "FILE: model.witdh: unknown key; allowed: name, options, width; did you mean "
                "'width'? (line 5)",
                "FILE: training.epochs: found 0; expected at least 1 (line 6)",
                "FILE: parameters.learning_rate.low: found 0.1; expected at most high, 0.01 "
                "(line 8)",
                "FILE: parameters.width.high: required, but missing (line 9)",
                "FILE: budget: a study must end; expected one of trials, time_limit and epochs "
                "(line 12)",
                "--set concurrency=x: found 'x'; expected 'auto' or an integer",
            ],
        ),
        (
            _CONTRADICTIONS,
            [],
            [
                "FILE: parameters.learning_rate.low: found 0; training.learning_rate must be more "
                "than 0 (line 5)",
                "FILE: parameters.weight_decay.low: found -1; training.weight_decay must be at "
                "least 0 (line 6)",
                "FILE: objective.1.metric: found 'val_error' a second time (line 9)",
                "FILE: pruner.name: found 'asha'; expected none, since a study of several "
                "objectives cannot prune (line 11)",
                "FILE: baselines.0.learning_rate: found 2; expected a number from 0 to 1 (line 14)",
            ],
        ),
    ],
)
def test_check_and_launch_name_all_mistakes_of_a_file_with_their_lines(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    overrides: list[str],
    lines: list[str],
) -> None:
    path = tmp_path / "several.yaml"
    path.write_text(text)
    said = [line.replace("FILE", str(path)) for line in lines]
    options = [option for override in overrides for option in ("--set", override)]
    assert space_command(["check", str(path), *options]) == 2
    assert capsys.readouterr().err.splitlines() == said
    monkeypatch.setattr("sys.argv", ["launch", "--space", str(path), *options])
    with pytest.raises(SystemExit) as left:
        run_command(launch)
    assert left.value.code == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {line}" for line in said]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["parameters.width.log=true", "parameters.width.step=null", "sampler={name: grid}",
             "parameters.aux_weight.when=null"],
            "--set sampler={name: grid}: sampler.name: a grid needs a finite set of values, but "
            "learning_rate is a number from 0.0001 to 0.01; give it cells, e.g. cells: "
            "{learning_rate: 5}",
        ),
        (
            ["parameters={options.a: {type: int, low: 0, high: 100000}}", "baselines=[]",
             "sampler={name: grid}"],
            "--set sampler={name: grid}: sampler.name: the grid has 100001 points; at most 100000",
        ),
        (
            ["parameters.aux_weight.when=null", "sampler={name: grid, cells: {learning_rat: 5}}"],
            "--set sampler={name: grid, cells: {learning_rat: 5}}: sampler.cells.learning_rat: no "
            "continuous parameter; there are: learning_rate; did you mean 'learning_rate'?",
        ),
        (
            ["sampler={name: cmaes}", "pruner={name: none}",
             "objective=[{metric: val_error}, {metric: train_seconds}]"],
            "--set sampler={name: cmaes}: sampler.name: cmaes takes one objective; for several: "
            "tpe, nsga2, gp",
        ),
        (
            ["sampler={name: cmaes}", "baselines=[]",
             "parameters={model: {type: categorical, choices: [siamese]}}"],
            "--set sampler={name: cmaes}: sampler.name: cmaes needs a float or int parameter "
            "without a condition",
        ),
    ],
)  # fmt: skip
def test_sections_that_contradict_each_other(
    build: Build, overrides: list[str], sentence: str
) -> None:
    with pytest.raises(SpaceError) as caught:
        build(*overrides)
    assert str(caught.value) == sentence
