"""A user's own loop and a user's function: searched, resumed, confirmed, exported, benchmarked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.benchmark.__main__ import main as benchmark
from search.export.__main__ import main as export
from search.launch.__main__ import main as launch
from space import load_space
from space.errors import DataError, SpaceError, StudyMismatchError
from storage import Store
from storage.admin.check import check_store
from storage.tables.attributes import FAIL_REASON
from trainables.finding.find import _KNOWN

from ..here import Here

FILE = Path(__file__).parents[2] / "trainables" / "own_loop.py"
SPACE: dict[str, Any] = {
    "study": "own",
    "training": {"epochs": 3},
    "parameters": {"eta": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
    "baselines": [{}],
    "confirm": {"top": 1, "seeds": 2},
    "budget": {"trials": 3},
    "resources": {"gpus": 0},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a user, with loops in a file."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILE, tmp_path / "mine.py")
    _KNOWN.clear()
    yield tmp_path
    _KNOWN.clear()


def searched(folder: Path, store: Store, **changes: Any) -> int:
    (folder / "own.yaml").write_text(json.dumps({**SPACE, **changes}))
    return launch(["--space", "own.yaml", "--storage", str(store.url.database)])


@pytest.mark.parametrize("name", ["Linear", "train"])
def test_it_goes_all_the_way(
    folder: Path, here: Here, store: Store, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    here.at = {4: interrupt}  # In the middle of a trial.
    with pytest.raises(KeyboardInterrupt):
        searched(folder, store, trainable=f"mine.py:{name}")
    assert searched(folder, store, trainable=f"mine.py:{name}") == 0
    assert "validation error" in capsys.readouterr().out
    assert check_store(store).findings == []
    fingerprint = store.study_records()[store.study_id("own")].data_fingerprint
    assert (fingerprint == "none") == (name == "train")

    where = ["--storage", str(store.url.database)]
    assert export(["--study", "own", "--baseline", "--output", "best.yaml", *where]) == 0
    capsys.readouterr()
    assert benchmark(["--config", "best.yaml", "--seeds", "2", *where]) == 0
    assert "test error" in capsys.readouterr().out
    assert check_store(store).findings == []


def test_a_function_that_says_nothing_is_measured_by_the_objective(
    folder: Path, here: Here, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    aim = {"metric": "val_accuracy", "direction": "maximize"}
    with (folder / "mine.py").open("a") as file:
        file.write("\n\nsilent = plain\n")
    assert searched(folder, store, trainable="mine.py:plain", objective=aim) == 0
    capsys.readouterr()
    study = store.optuna_storage.get_all_trials(store.study_id("own"))
    best = max(study, key=lambda trial: trial.values[0])
    assert best.params["eta"] == min(trial.params["eta"] for trial in study)
    assert check_store(store).findings == []
    where = ["--storage", str(store.url.database)]
    assert export(["--study", "own", "--output", "best.yaml", *where]) == 0
    with pytest.raises(DataError, match=r"cannot be benchmarked: it needs @measures\(Metric"):
        benchmark(["--config", "best.yaml", *where])
    # The kept epoch is the one of the highest accuracy, which is the last.
    runs = store.runs(store.study_id("own"), "search")
    assert {run.best_epoch for run in runs} == {3}

    with pytest.raises(StudyMismatchError, match=r"'mine\.py:plain' before, 'mine\.py:silent' now"):
        searched(folder, store, trainable="mine.py:silent", objective=aim)

    assert searched(folder, store, study="other", trainable="mine.py:plain", confirm={}) == 1
    trials = store.optuna_storage.get_all_trials(store.study_id("other"))
    assert {trial.user_attrs[FAIL_REASON] for trial in trials} == {
        "it is judged by val_error, and measures val_accuracy, train_accuracy"
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"trainable": "mine.py:Lineal"}, "did you mean 'Linear'"),
        ({"options": {"alhpa": 1.0}}, "options.alhpa: unknown key; allowed: alpha, eta"),
        ({"training": {"batch_size": 3}}, "training.batch_size: unknown key; allowed: device, ep"),
        ({"parameters": {"et": SPACE["parameters"]["eta"]}}, "did you mean 'eta'"),
        ({"objective": {"metric": "val_accuracy"}}, "allowed: train_error, val_error"),
        (
            {"trainable": "mine.py:plain", "objective": {"metric": "test_error"}},
            "a search never sees the test split",
        ),
    ],
)
def test_a_mistake_is_a_sentence(folder: Path, changes: dict[str, Any], problem: str) -> None:
    tree = {**SPACE, "trainable": "mine.py:Linear", **changes}
    (folder / "own.yaml").write_text(json.dumps(tree))
    with pytest.raises(SpaceError) as caught:
        load_space("own.yaml")
    (line,) = caught.value.lines
    assert line.startswith("own.yaml: ")
    assert problem in line


@pytest.mark.slow
def test_rays_workers_get_the_file(folder: Path, one_ray: Path, store: Store) -> None:
    changes = {"confirm": {}, "budget": {"trials": 2}}
    assert searched(folder, store, trainable="mine.py:train", **changes) == 0
    runs = store.runs(store.study_id("own"))
    assert [(run.state, run.n_epochs) for run in runs] == [("complete", 3)] * 2
