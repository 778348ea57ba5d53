"""The report's tables as config files, its grid, and the schema of config files."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from space import load_configs, load_space, load_tree
from space.__main__ import main
from space.files.schema import config_schema, config_schema_text
from trainables.finding.find import trainable_of
from trainables.shipped.digit_pairs.resolve import resolve_config

# As the report prints them, but for the digit that ResNet's parameters lost in Table II.
TABLES = {
    1: """
MLP	279 562	False	0.0001	0.1	0.0546 ± 0.04335	0.2239 ± 0.0548	0.22 ± 0.0205
ConvNet	77 530	False	0.0001	0.1	0.1174 ± 0.0199	0.252 ± 0.0322	0.2404 ± 0.0102
DeepConvNet	2 700 834	False	0.001	0.001	0.0852 ± 0.0315	0.1899 ± 0.0466	0.2131 ± 0.0164
ResNet	2 746 626	False	0.0001	0.1	0.1942 ± 0.1407	0.3010 ± 0.1028	0.3259 ± 0.0728
DeepConvNet	2 826 294	True	0.001	0.001	0.0686 ± 0.0606	0.201 ± 0.0558	0.197 ± 0.0310
Siamese	2 699 968	False	0.001	0.001	0.0736 ± 0.0193	0.13 ± 0.0365	0.1496 ± 0.0164
Siamese	2 762 698	True	0.001	0.001	0.0444 ± 0.0078	0.119 ± 0.0430	0.1221 ± 0.0146
""",
    2: """
MLP	279 562	False	0.0001	0.1	0.0470 ± 0.0052	0.0799 ± 0.0173	0.0890 ± 0.0065
ConvNet	77 530	False	0.0001	0.1	0.1174 ± 0.0126	0.12 ± 0.0200	0.1333 ± 0.0155
DeepConvNet	2 700 834	False	0.001	0.001	0.0422 ± 0.0022	0.0499 ± 0.01	0.0493 ± 0.0037
ResNet	2 746 626	False	0.0001	0.1	0.0911 ± 0.0105	0.0766 ± 0.0152	0.097 ± 0.0145
DeepConvNet	2 826 294	True	0.001	0.001	0.0229 ± 0.0055	0.0366 ± 0.0208	0.0373 ± 0.0005
Siamese	2 699 968	False	0.001	0.001	0.0396 ± 0.0168	0.0600 ± 0.0173	0.0643 ± 0.0283
Siamese	2 762 698	True	0.001	0.001	0.0140 ± 0.0084	0.0166 ± 0.0152	0.0296 ± 0.0106
""",
}
FILES = {number: Path(f"space/paper/table{number}.yaml") for number in TABLES}
PROTOCOLS = {
    "ConvNet": {"model.options.test_time_dropout": True},
    "Siamese": {"model.options.separate_batch_statistics": True},
    "ResNet": {},
}
"""What the authors' protocol differs in for a network besides what it does for all."""
FOR_ALL = {"training.shuffle": False, "training.selection": "loss"}


@pytest.mark.parametrize(
    ("number", "source", "n", "epochs", "augment"),
    [(1, "Table I", 10, 25, False), (2, "Table II", 3, 200, True)],
)
def test_every_number_is_the_reports(
    number: int, source: str, n: int, epochs: int, augment: bool
) -> None:
    file = load_configs(FILES[number])
    rows = [line.split("\t") for line in TABLES[number].strip().splitlines()]
    assert len(file.configs) == len(rows) == 7
    for named, row in zip(file.configs, rows, strict=True):
        name, n_parameters, aux, learning_rate, weight_decay, *errors = row
        has_aux = aux == "True"
        assert named.name == (f"{name} + aux" if has_aux else name)
        assert trainable_of(named.config).n_parameters(named.config) == int(
            n_parameters.replace(" ", "")
        )
        assert named.model.width == 128

        training = named.training
        assert training.learning_rate == float(learning_rate)
        assert training.weight_decay == float(weight_decay)
        assert (training.epochs, training.batch_size) == (epochs, 50)
        assert training.learning_rate_decay == 1.0
        data = named.data
        assert (data.source, data.augment, data.validation_fraction) == ("mnist", augment, 0.1)
        assert (data.n_train_pairs, data.n_test_pairs, data.root) == (1000, 1000, None)
        assert resolve_config(named.config).training.aux_weight == (0.6 if has_aux else 0.0)

        reported = named.reported
        assert reported is not None
        assert (reported.source, reported.n) == (source, n)
        for found, text in zip(
            (reported.train_error, reported.val_error, reported.test_error), errors, strict=True
        ):
            mean, _, std = text.partition(" ± ")
            assert (found.mean, found.std) == (float(mean), float(std))


def test_the_authors_table_differs_in_the_protocol_alone() -> None:
    ours, theirs = (
        load_configs(path).configs for path in (FILES[1], "space/paper/table1_authors.yaml")
    )
    for one, two in zip(ours, theirs, strict=True):
        own = PROTOCOLS.get(one.name.removesuffix(" + aux"), {})
        assert two.config == one.config.with_values({**FOR_ALL, **own})
        assert (two.name, two.reported) == (one.name, one.reported)


STEPS = {
    "convnet": ("ConvNet", {}),
    "resnet": ("ResNet", {}),
    "siamese": ("Siamese + aux", {"training.aux_weight": 0.26}),
}
"""Protocol file -> its row of the table, and what it changes beside that row's protocol."""


@pytest.mark.parametrize("file", STEPS)
def test_a_protocols_settings_are_changed_one_by_one_and_together(file: str) -> None:
    name, more = STEPS[file]
    table = {each.name: each for each in load_configs(FILES[1]).configs}
    first, *others, last = load_configs(f"space/paper/protocol_{file}.yaml").configs
    changes = {**PROTOCOLS.get(name.removesuffix(" + aux"), {}), **FOR_ALL, **more}
    assert first.config == table[name].config
    assert [each.config for each in others] == [
        first.config.with_values({path: value}) for path, value in changes.items()
    ]
    assert last.config == first.config.with_values(changes)
    assert all(each.reported == table[name].reported for each in (first, *others, last))


def test_the_grid_is_the_reports_question() -> None:
    grid = load_space("space/aux_weight_grid.yaml")
    assert grid.study == "aux-weight-grid"
    assert (grid.sampler.name, grid.pruner.name) == ("grid", "none")
    assert grid.baseline_params() == []
    assert grid.n_grid_points == 20
    assert grid.replicates >= 2
    assert grid.grid() == {
        "model": ["deepconvnet-aux", "siamese-aux"],
        "aux_weight": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
    }
    for model, weight in itertools.product(*grid.grid().values()):
        config = resolve_config(grid.resolve({"model": model, "aux_weight": weight}), "mnist")
        training = config.training
        assert (config.model.name, training.aux_weight) == (model, weight)
        assert (training.learning_rate, training.weight_decay) == (1e-3, 1e-3)
        assert (training.epochs, training.learning_rate_decay) == (25, 1.0)
    assert load_space("space/aux_weight_grid.yaml", ["model.width=128"]).model.width == 128


def test_the_committed_schema_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--configs"]) == 0
    printed = capsys.readouterr().out
    assert printed == config_schema_text() == Path("space/configs.schema.json").read_text()


@pytest.mark.parametrize(
    "path", sorted(Path("space/paper").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_tables_agree_with_the_schema_they_name(path: Path) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=../configs.schema.json\n")
    assert (path.parent / "../configs.schema.json").exists()
    jsonschema.validate(load_tree(path), config_schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("configs", []),
        ("configs", [{"name": "x"}]),
        ("configs", [{"name": "x", "model": {"name": "mlp", "widht": 3}}]),
        ("config", []),
    ],
)
def test_the_schema_refuses_mistakes(key: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(load_tree(FILES[1]) | {key: value}, config_schema())


def test_every_setting_of_a_config_file_is_described() -> None:
    schema = config_schema()
    models = {"ConfigFile": schema, **schema["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, field in model["properties"].items()
        if not field.get("description")
    ]
    assert undescribed == []


def test_check_takes_config_files_and_search_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "space/mlp.yaml", str(FILES[1])]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("space/mlp.yaml: study mlp, ")
    assert second == (
        "space/paper/table1.yaml: 7 configs: MLP, ConvNet, DeepConvNet, ResNet, "
        "DeepConvNet + aux, Siamese, Siamese + aux"
    )


def test_check_tells_what_is_wrong_with_a_config_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["check", str(FILES[1]), "--set", "configs.2.training.epochs=0"]) == 2
    assert capsys.readouterr().err == (
        "--set configs.2.training.epochs=0: found 0; expected at least 1\n"
    )
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("configs: []\n")
    assert main(["check", str(wrong)]) == 2
    assert capsys.readouterr().err == (
        f"{wrong}: name: required, but missing\n"
        f"{wrong}: configs: empty; expected at least one entry (line 1)\n"
    )
