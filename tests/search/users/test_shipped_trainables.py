"""The trainables that are shipped as examples, searched by the file of their name."""

from __future__ import annotations

import json
import math
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from dashboards.numbers.study.view import read_study
from search.launch.__main__ import main as launch
from space.errors import DataError
from storage import Store
from storage.admin.check import check_store
from trainables.finding.find import find_trainable, read_config

from ..here import Here

EXAMPLES = ("digits-cnn", "table-mlp", "boosting")
SHORT = ["--set", "training.epochs=3", "--set", "confirm={}", "--set", "pruner={name: none}"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_search_by_the_file_of_its_name(
    name: str, here: Here, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    where = ["--storage", str(store.url.database), "--trials", "2"]
    assert launch(["--space", name, *where, *SHORT, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)
    view = read_study(store, name)
    assert [trial.state for trial in view.trials] == ["COMPLETE"] * 2
    assert all(math.isfinite(value) for trial in view.trials for value in trial.values)
    if name == "table-mlp":
        assert [(m.name, m.maximize) for m in view.metrics] == [
            ("val_mae", False),
            ("val_r2", True),
        ]
    assert check_store(store).findings == []


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("digits-cnn", "digits_cnn.Digits.data"),
        ("table-mlp", "table_mlp.Table.data"),
        ("boosting", "boosting.Boosting.load"),
        ("mlp", "digit_pairs.data.sources.load_source"),
    ],
)
def test_neither_a_search_nor_its_confirmation_reads_the_test_split(
    name: str, reader: str, here: Here, store: Store, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    place, read = f"trainables.shipped.{reader}", []
    reads = pkgutil.resolve_name(place)

    def noted(what: Any, split: str) -> Any:
        read.append(split)
        return reads(what, split)

    monkeypatch.setattr(place, noted)
    of_digits = ["data.source=digits", "data.n_train_pairs=100"] if name == "mlp" else []
    once = ["training.epochs=1", "pruner={name: none}", "confirm={top: 1, seeds: 2}"]
    line = ["--space", name, "--trials", "2", "--storage", str(store.url.database)]
    assert launch([*line, *(word for each in (*once, *of_digits) for word in ("--set", each))]) == 0
    runs = store.runs(store.study_id(name))
    assert {(run.purpose, run.state) for run in runs} == {
        ("search", "complete"),
        ("confirm", "complete"),
    }
    assert "train" in read
    assert "test" not in read
    config = read_config(runs[0].config)
    find_trainable(config.trainable).settle(config, with_test=True)
    assert "test" in read


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(name: str) -> None:
    trainable = find_trainable(name)
    config = trainable.config_type.model_validate({"trainable": name, "training": {"epochs": 3}})
    config, data = trainable.settle(config, with_test=True)
    config = trainable.resolve(config)
    first, second = (trainable.open_run(config, data) for _ in range(2))
    first.run_epoch()
    second.load_state_dict(first.state_dict())
    for run in (first, second):
        while not run.finished:
            run.run_epoch()
    assert [e.metrics for e in first.history] == [e.metrics for e in second.history]
    test = {k: v for k, v in first.evaluate(data.test).items() if k.startswith("test_")}
    assert test
    assert all(second.evaluate(data.test)[key] == value for key, value in test.items())


def settle_table(**options: str) -> Any:
    trainable = find_trainable("table-mlp")
    tree = {"trainable": "table-mlp", "options": options, "training": {"epochs": 20}}
    config, data = trainable.settle(trainable.config_type.model_validate(tree))
    return trainable.open_run(trainable.resolve(config), data)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = ["x,z,y", *(f"{n},{n % 7},{2 * n + n % 7}" for n in range(200))]
    path.write_text("\n".join(lines))
    run = settle_table(csv=str(path), target="z")
    assert run.n_parameters == (2 + 1) * 64 + (64 + 1) * 64 + 65
    run = settle_table(csv=str(path))
    while not run.finished:
        run.run_epoch()
    assert run.kept["val_r2"] > 0.9


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (None, {}, "options.csv: .* cannot be read"),
        ("x,y\n1,2\n1,b\n", {}, "line 3: expected numbers alone"),
        ("x,y\n1,2\n1\n", {}, "line 3: 1 values; expected 2"),
        ("x,y\n1,nan\n", {}, "line 2: expected finite numbers: 1, nan"),
        ("x,y\n1,2\n", {}, "2 columns and 1 rows; expected"),
        ("", {}, "0 columns"),
        ("x,price\n" + "1,2\n" * 10, {"target": "prise"}, "did you mean 'price'"),
    ],
)
def test_a_mistake_in_a_table_is_a_sentence(
    text: str | None, options: dict[str, str], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=said):
        settle_table(csv=str(path), **options)
