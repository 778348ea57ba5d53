"""The two forms of a file: what it says, and what differs where trials get no GPU."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from space import load_space, read_space_file
from space.__main__ import main
from space.errors import SpaceError
from space.files.schema import json_schema

PART = {
    "model": {"width": 8},
    "training": {"epochs": 4},
    "parameters": {"learning_rate": {"type": "categorical", "choices": [0.001, 0.01]}},
    "sampler": {"name": "random"},
    "baselines": [{"learning_rate": 0.001, "width": 16, "model": "siamese"}],
    "budget": {"trials": 6},
}


@pytest.fixture
def file(tree: dict[str, Any], tmp_path: Path) -> Path:
    tree["sampler"] = {"name": "tpe", "n_startup_trials": 3}
    return written(tree | {"without_gpu": PART}, tmp_path)


def written(tree: dict[str, Any], folder: Path) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


def test_the_part_is_laid_over_the_rest_without_a_gpu_alone(file: Path) -> None:
    given, laid = load_space(file), load_space(file, without_gpu=True)
    assert (given.model.width, given.training.epochs, given.budget.trials) == (32, 9, 4)
    assert (laid.model.width, laid.training.epochs, laid.budget.trials) == (8, 4, 6)
    # Sections and parameters are replaced key by key, a parameter and a sampler as a whole.
    assert laid.model.name == "siamese-aux"
    assert laid.training.aux_weight == 0.6
    assert laid.parameters["learning_rate"].points() == [0.001, 0.01]
    assert set(laid.parameters) == set(given.parameters)
    assert laid.sampler.model_dump() == {"name": "random", "seed": 0}
    assert [each["model"] for each in laid.baseline_params()] == ["siamese"]
    assert (given.without_gpu, laid.without_gpu) == (False, True)


def test_a_file_without_the_part_has_one_form(tree: dict[str, Any], tmp_path: Path) -> None:
    path = written(tree, tmp_path)
    assert load_space(path) == load_space(path, without_gpu=True)
    assert "without_gpu" not in load_space(path).model_dump(mode="json")
    assert load_space(written(tree | {"without_gpu": None}, tmp_path)) == load_space(path)


def test_the_command_line_prevails_over_it(file: Path) -> None:
    laid = load_space(file, ["training.epochs=5"], without_gpu=True)
    assert (laid.training.epochs, laid.model.width) == (5, 8)
    assert load_space(file, ["without_gpu=null"], without_gpu=True).model.width == 32
    of_part = load_space(file, ["without_gpu.training.epochs=3"], without_gpu=True)
    assert of_part.training.epochs == 3
    assert load_space(file, ["without_gpu.training.epochs=3"]).training.epochs == 9


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (True, "small.yaml: without_gpu: found true; expected a mapping of settings"),
        ({"study": "x"}, "small.yaml: without_gpu.study: it cannot differ"),
        ({"without_gpu": {}}, "small.yaml: without_gpu.without_gpu: it cannot differ"),
        ({"modle": {}}, "small.yaml: without_gpu.modle: unknown key"),
        ({"model": {"widht": 8}}, "small.yaml: without_gpu.model.widht: unknown key"),
        ({"training": {"epochs": 0}}, "small.yaml: without_gpu.training.epochs: found 0"),
        (
            {"parameters": {"width": {"type": "int", "low": 0, "high": 9}}},
            "small.yaml: without_gpu.parameters.width.low: found 0",
        ),
        ({"sampler": {"name": "tpee"}}, "small.yaml: without_gpu.sampler.name: found 'tpee'"),
        # What it sets goes ill with what it leaves.
        (
            {"pruner": {"name": "asha", "min_resource": 10}},
            "small.yaml: without_gpu.pruner.min_resource: found 10; expected at most",
        ),
        (
            {"parameters": {"width": {"type": "int", "low": 1, "high": 9}}},
            "small.yaml with its without_gpu: baselines.0: width is missing",
        ),
    ],
)
def test_a_mistake_in_it_is_found_on_every_machine(
    tree: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    part: Any,
    sentence: str,
) -> None:
    path = written(tree | {"without_gpu": part}, tmp_path)
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert sentence in said.replace(f"{tmp_path}/", "")
    with pytest.raises(SpaceError) as caught:
        load_space(path, without_gpu=True)
    assert str(caught.value) == said.strip()


def test_check_says_what_both_forms_hold(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file)]) == 0
    given, laid = capsys.readouterr().out.split("; without a GPU: ")
    assert "tpe" in given
    assert "at most 4 trials" in given
    assert "random" in laid
    assert "at most 6 trials" in laid


def test_an_override_that_fits_one_form_alone_leaves_that_one(file: Path) -> None:
    read = read_space_file(file, ["parameters.learning_rate.choices=[0.001]"])
    assert [form.without_gpu for form in read.forms()] == [True]
    with pytest.raises(SpaceError, match="unknown key"):
        read.space(without_gpu=False)
    with pytest.raises(SpaceError, match="did you mean 'epochs'"):
        read_space_file(file, ["training.epoch=1"]).forms()


def test_the_schema_takes_a_part_of_every_section_and_no_more(tree: dict[str, Any]) -> None:
    jsonschema.validate(tree | {"without_gpu": PART}, json_schema())
    for wrong in ({"study": "x"}, {"model": {"widht": 8}}, {"training": {"epochs": 0}}, {"x": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tree | {"without_gpu": wrong}, json_schema())


def test_a_study_keeps_its_form_in_its_terms(file: Path, tree: dict[str, Any]) -> None:
    given, laid = load_space(file), load_space(file, without_gpu=True)
    assert "without_gpu" not in given.identity()
    assert laid.identity()["without_gpu"] is True
    assert any(
        line.startswith("training.epochs: 4 before") for line in given.difference(laid.identity())
    )
    # The same settings written without the part are the same terms.
    merged = copy.deepcopy(tree)
    for key in ("model", "training", "parameters"):
        merged[key] |= PART[key]
    merged |= {"sampler": PART["sampler"], "baselines": PART["baselines"]}
    assert load_space(written(merged, file.parent)).difference(laid.identity()) == []


def test_check_names_the_mistakes_of_both_forms_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "forms.yaml"
    path.write_text(
        "study: s\nmodel: {name: mlp}\nreplicates: 0\nparameters:\n"
        "  width: {type: int, low: 1, high: 9}\nbudget: {trials: 1}\n"
        "without_gpu:\n  training: {epochs: 0}\n  concurrency: 0\n"
    )
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: replicates: found 0; expected at least 1",
        f"{path}: without_gpu.training.epochs: found 0; expected at least 1 (line 8)",
        f"{path}: without_gpu.concurrency: found 0; expected 'auto' or at least 1 (line 9)",
    ]
