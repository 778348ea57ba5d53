"""The winner's weights: kept, exported, loaded, applied; and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import search
from search.benchmark.__main__ import main as benchmark
from search.export.__main__ import main as export
from search.predict import main as predict
from space.errors import CheckpointError, SpaceError, UsageError
from tests.search.here import Here
from trainables import load_weights
from trainables.finding.find import _KNOWN, read_config, trainable_of
from trainables.loop.training import Training
from trainables.worker.weights import read_weights

TASK = Path(__file__).parents[2] / "trainables" / "own_digits.py"
SPACE: dict[str, Any] = {
    "study": "w",
    "model": {"name": "mlp", "width": 4},
    "data": {"source": "digits", "n_train_pairs": 100},
    "training": {"epochs": 3},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2}},
    "baselines": [{"learning_rate": 0.002}],
    "confirm": {"top": 1, "seeds": 2},
    "keep_weights": True,
    "budget": {"trials": 3},
}


@pytest.fixture
def study(here: Here, tmp_path: Path) -> search.Study:
    url = f"sqlite:///{tmp_path / 's.db'}"
    return search.launch(SPACE, storage=url, progress=False)


def test_the_winners_network_does_what_was_measured(
    study: search.Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, best = tmp_path / "best.safetensors", tmp_path / "b.yaml"
    arguments = ["--study", "w", "--storage", study.url, "--output", str(best)]
    assert export([*arguments, "--weights", str(file)]) == 0
    assert "fresh seed" in capsys.readouterr().out
    confirmation = study.confirmation
    assert confirmation is not None
    weights = read_weights(file)
    assert weights.epoch.metrics["val_error"] == min(confirmation.winner.values)
    # Again from the file alone: the validation pairs of its run are compared as the run did.
    config: Any = read_config(weights.config)
    settled, data = trainable_of(config).settle(config)
    assert settled == config
    part = trainable_of(config).open_run(config, data)
    assert isinstance(part, Training)
    val = part.parts["val"]
    np.save(tmp_path / "x.npy", val["x"].numpy())
    said = ["--weights", str(file), "--input", str(tmp_path / "x.npy")]
    assert predict([*said, "--output", str(tmp_path / "y.npy"), "--batch", "3"]) == 0
    y = np.load(tmp_path / "y.npy")
    wrong = float((y.argmax(1) != val["target"].numpy()).mean())
    assert wrong == pytest.approx(weights.epoch.metrics["val_error"], abs=1e-6)
    assert predict([*said, "--output", str(tmp_path / "y.csv")]) == 0
    assert np.loadtxt(tmp_path / "y.csv", delimiter=",") == pytest.approx(y, rel=1e-5)
    network = load_weights(file)
    assert not network.training
    with torch.no_grad():
        assert network(val["x"]).comparison_N2.numpy() == pytest.approx(y, rel=1e-4)


def test_of_a_named_trial_the_searchs_own_run(study: search.Study, tmp_path: Path) -> None:
    confirmation = study.confirmation
    assert confirmation is not None
    confirmed = {each.trial_number for each in confirmation.trials}
    (other, *_) = [trial for trial in study.view.trials if trial.number not in confirmed]
    file = tmp_path / "w.safetensors"
    search.export(study, tmp_path / "o.yaml", trial=other.number, weights=file)
    assert read_weights(file).epoch.metrics["val_error"] == other.values[0]


def test_of_a_study_whose_first_objective_no_epoch_has(here: Here, tmp_path: Path) -> None:
    two = [{"metric": "n_parameters"}, {"metric": "val_error"}]
    study = search.launch(
        {**SPACE, "objective": two}, storage=f"sqlite:///{tmp_path / 's.db'}", progress=False
    )
    best = min(study.view.trials, key=lambda trial: trial.values[1])
    file = tmp_path / "w.safetensors"
    search.export(study, tmp_path / "o.yaml", trial=best.number, weights=file)
    assert 0 <= read_weights(file).epoch.metrics["val_error"] <= 1


def test_a_benchmarks_runs_keep_theirs(study: search.Study, tmp_path: Path) -> None:
    search.export(study, tmp_path / "b.yaml")
    place = tmp_path / "elsewhere"
    arguments = ["--config", str(tmp_path / "b.yaml"), "--seeds", "2", "--keep-weights"]
    assert benchmark([*arguments, "--storage", study.url, "--checkpoints", str(place)]) == 0
    files = (place / "benchmark" / "weights").iterdir()
    assert sorted(read_weights(file).config["data"]["data_seed"] for file in files) == [0, 1]
    assert not list(place.rglob("*.pt"))


def test_what_was_not_kept_cannot_be_exported(here: Here, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    study = search.launch(SPACE, storage=url, set={"keep_weights": False}, progress=False)
    assert not list(tmp_path.rglob("*.safetensors"))
    with pytest.raises(UsageError, match="keep_weights=true"):
        search.export(study, tmp_path / "o.yaml", weights=tmp_path / "w.safetensors")
    assert not (tmp_path / "o.yaml").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 64])
def test_a_file_that_holds_no_weights(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="holds no weights"):
        load_weights(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(tmp_path / "none")


def test_weights_of_others_and_inputs_that_do_not_fit(study: search.Study, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "theirs.safetensors")
    with pytest.raises(CheckpointError, match="which config"):
        load_weights(tmp_path / "theirs.safetensors")
    file = tmp_path / "w.safetensors"
    search.export(study, tmp_path / "o.yaml", weights=file)
    np.save(tmp_path / "x.npy", np.zeros((2, 3), np.float32))
    arguments = ["--weights", str(file), "--input", str(tmp_path / "x.npy")]
    with pytest.raises(UsageError, match=r"\(2, 3\)"):
        predict([*arguments, "--output", str(tmp_path / "y.npy")])
    with pytest.raises(UsageError, match="npy or a"):
        predict([*arguments, "--output", str(tmp_path / "y.txt")])
    with pytest.raises(UsageError, match="cannot be read"):
        predict(["--weights", str(file), "--input", "none.npy", "--output", "y.npy"])
    (tmp_path / "x.npy").write_bytes(b"text")
    with pytest.raises(UsageError, match="no array"):
        predict([*arguments, "--output", str(tmp_path / "y.npy")])


def test_weights_that_another_text_trained_are_refused(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = TASK.read_text()
    Path("mine.py").write_text(text)
    _KNOWN.clear()
    space = {"study": "own", "trainable": "mine.py:Digits", "training": {"epochs": 1}}
    space |= {"parameters": {"width": {"type": "int", "low": 2, "high": 4}}}
    space |= {"keep_weights": True, "budget": {"trials": 1}}
    study = search.launch(space, storage=f"sqlite:///{tmp_path / 's.db'}", progress=False)
    search.export(study, "o.yaml", weights="w.safetensors")
    load_weights("w.safetensors")
    Path("mine.py").write_text(f"{text}# changed\n")
    _KNOWN.clear()
    with pytest.raises(SpaceError, match="has another text"):
        load_weights("w.safetensors")
