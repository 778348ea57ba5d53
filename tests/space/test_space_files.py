"""The shipped files, their schema, the command, and the names shared with Optuna."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import optuna
import pytest

import space
from space import Space, load_space, load_tree
from space.__main__ import main
from space.config import DEFAULT_TRAINABLE
from space.files.schema import json_schema, json_schema_text

_FILES = sorted(Path("space").glob("*.yaml"))


def test_the_shipped_files() -> None:
    assert {path.stem for path in _FILES} >= {
        "convnet", "deepconvnet", "mlp", "resnet", "siamese", "aux_weight_grid",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "model", "width", "learning_rate", "weight_decay", "aux_weight"),
    [
        ("mlp", "mlp", 128, 1e-4, 0.1, None),
        ("convnet", "convnet", 128, 1e-4, 0.1, None),
        ("deepconvnet", "deepconvnet", 128, 1e-3, 1e-3, None),
        ("resnet", "resnet", 128, 1e-4, 0.1, None),
        ("siamese", "siamese-aux", 128, 1e-3, 1e-3, 0.6),
    ],
)
def test_a_shipped_file_tries_the_reports_setting_first(
    name: str,
    model: str,
    width: int,
    learning_rate: float,
    weight_decay: float,
    aux_weight: float | None,
) -> None:
    shipped = load_space(f"space/{name}.yaml")
    assert shipped.study == name
    config = shipped.resolve(shipped.baseline_params()[0])
    assert (config.model.name, config.model.width) == (model, width)
    training = config.training
    assert (training.epochs, training.batch_size, training.learning_rate_decay) == (25, 50, 1.0)
    assert (training.learning_rate, training.weight_decay) == (learning_rate, weight_decay)
    assert training.aux_weight == aux_weight
    assert shipped.budget.trials is not None
    assert shipped.budget.time_limit is not None
    assert shipped.rungs() == [3, 9]


@pytest.mark.parametrize("without_gpu", [False, True])
def test_the_siamese_ranges_hold_what_is_known_to_be_good(without_gpu: bool) -> None:
    good = {"learning_rate": 3e-3, "learning_rate_decay": 0.9, "weight_decay": 1e-5}
    parameters = load_space("space/siamese.yaml", without_gpu=without_gpu).parameters
    assert all(parameters[key].contains(value) for key, value in good.items())
    assert list(parameters) == ["batch_size", *good, "aux_weight"]


def _trainable_and_schema(path: Path) -> tuple[str, str]:
    """What a file is about, and the name of its schema."""
    name = load_tree(path).get("trainable", DEFAULT_TRAINABLE)
    return name, "space.schema.json" if name == DEFAULT_TRAINABLE else f"{name}.schema.json"


def test_the_committed_schemas_are_current() -> None:
    known = {_trainable_and_schema(path) for path in _FILES}
    assert {schema for _, schema in known} | {"configs.schema.json"} == {
        path.name for path in Path("space").glob("*.json")
    }
    for name, schema in known:
        assert Path("space", schema).read_text() == json_schema_text(name), name


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_shipped_files_agree_with_the_schema_they_name(path: Path) -> None:
    name, schema = _trainable_and_schema(path)
    assert path.read_text().startswith(f"# yaml-language-server: $schema={schema}\n")
    jsonschema.validate(load_tree(path), json_schema(name))


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("study", "../x"),
        ("parameters", {"lerning_rate": {"type": "float", "low": 0, "high": 1}}),
        ("parameters", {"learning_rate": {"type": "flaot", "low": 0, "high": 1}}),
        ("sampler", {"name": "tpee"}),
        ("training", {"epoch": 3}),
        ("objective", {"metric": "test_error"}),
        ("objective", [{"metric": "test_error"}]),
        ("concurrency", 0),
    ],
)
def test_the_schema_refuses_mistakes(section: str, value: Any) -> None:
    tree = load_tree("space/siamese.yaml") | {section: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, json_schema())


def test_every_setting_is_described() -> None:
    schema = json_schema()
    models = {"Space": schema, **schema["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, field in model["properties"].items()
        if not field.get("description")
    ]
    assert undescribed == []


def _tagged(section: str) -> dict[str, Any]:
    """The members of a section's union by name."""
    mapping = json_schema()["properties"][section]["anyOf"][0]["discriminator"]["mapping"]
    modules = vars(sys.modules[f"space.study.{section}s"])
    return {name: modules[path.rsplit("/", 1)[-1]] for name, path in mapping.items()}


@pytest.mark.parametrize(
    ("section", "name", "theirs"),
    [
        ("sampler", "tpe", optuna.samplers.TPESampler),
        ("sampler", "random", optuna.samplers.RandomSampler),
        ("sampler", "qmc", optuna.samplers.QMCSampler),
        ("sampler", "cmaes", optuna.samplers.CmaEsSampler),
        ("sampler", "gp", optuna.samplers.GPSampler),
        ("sampler", "nsga2", optuna.samplers.NSGAIISampler),
        ("pruner", "asha", optuna.pruners.SuccessiveHalvingPruner),
        ("pruner", "hyperband", optuna.pruners.HyperbandPruner),
        ("pruner", "median", optuna.pruners.MedianPruner),
        ("pruner", "percentile", optuna.pruners.PercentilePruner),
        ("pruner", "threshold", optuna.pruners.ThresholdPruner),
    ],
)
def test_options_have_optunas_names(section: str, name: str, theirs: Any) -> None:
    ours = set(_tagged(section)[name].model_fields) - {"name", "max_resource", "history"}
    assert ours <= set(inspect.signature(theirs.__init__).parameters)


def test_check_says_what_a_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "space/siamese.yaml", "--set", "budget.epochs=500"]) == 0
    with_gpu, without = capsys.readouterr().out.split("; without a GPU: ")
    assert with_gpu.startswith("space/siamese.yaml: study siamese, siamese-aux, 5 parameters, tpe")
    assert with_gpu.endswith("2 baselines, at most 30 trials, 8h, 500 epochs")
    assert without.endswith("1 baseline, at most 60 trials, 10m, 500 epochs\n")


def test_check_tells_every_wrong_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "space/zzz.yaml", "space/mlp.yaml", "space"]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("space/mlp.yaml: ")
    assert captured.err.splitlines() == [
        "space/zzz.yaml: no such file",
        "space: a directory; expected a file",
    ]


def test_the_command_prints_the_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "space", "schema"], capture_output=True, text=True, check=True
    )
    assert done.stdout == json_schema_text()
    assert json.loads(done.stdout)["title"] == "Space"


def test_the_package_imports_no_other_package() -> None:
    allowed = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "rich", "yaml", "space"}
    for path in Path("space").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            else:
                continue
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_public_names_exist() -> None:
    assert space.__all__ == sorted(space.__all__)
    assert all(hasattr(space, name) for name in space.__all__)
    assert space.Space is Space
