"""A user's own task in a file of one class: searched, confirmed, exported, benchmarked."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from dashboards.numbers.study.view import read_study
from dashboards.pages.study_page import study_document
from search.benchmark.__main__ import main as benchmark
from search.export.__main__ import main as export
from search.launch.__main__ import main as launch
from space import load_configs, load_space
from space.errors import SpaceError
from storage import Store
from storage.__main__ import main as storage
from storage.admin.check import check_store
from trainables.finding.find import _KNOWN, find_trainable, install

from ..here import Here

TASK = Path(__file__).parents[2] / "trainables" / "own_digits.py"
SPACE: dict[str, Any] = {
    "study": "own",
    "trainable": "mine.py:Digits",
    "training": {"epochs": 2, "batch_size": 30},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        "width": {"type": "int", "low": 2, "high": 4},
    },
    "baselines": [{}],
    "confirm": {"top": 1, "seeds": 2},
    "budget": {"trials": 3},
    "resources": {"gpus": 0, "runs_per_trainable": 1},
}


CLASS = """
from trainables import Options, Task

class Own(Options):
    {}

class Digits(Task):
    options: Own
    data = network = loss = lambda self, *_: None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user, with a task and a space file."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TASK, tmp_path / "mine.py")
    (tmp_path / "own.yaml").write_text(json.dumps(SPACE))
    _forget()
    return tmp_path


def _forget() -> None:
    """Be a process that has loaded nothing of the user's yet."""
    _KNOWN.clear()


def test_a_users_task_goes_all_the_way(
    folder: Path, here: Here, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--storage", str(store.url.database)]
    assert launch(["--space", "own.yaml", *where]) == 0
    said = capsys.readouterr()
    assert "validation accuracy" in said.out
    assert check_store(store).findings == []

    view = read_study(store, "own")
    assert [metric.name for metric in view.metrics] == ["val_accuracy"]
    assert view.metrics[0].maximize
    assert view.space is not None
    assert view.space.config.value("options.width") == 4
    best = max(trial.values[0] for trial in view.trials if trial.state == "COMPLETE")
    assert view.trials[view.front[0]].values[0] == best

    assert export(["--study", "own", "--output", "best.yaml", *where]) == 0
    (named,) = load_configs("best.yaml").configs
    assert named.trainable.startswith("mine.py:Digits@")
    assert named.config.value("options.width") in (2, 3, 4)
    assert benchmark(["--config", "best.yaml", "--seeds", "2", *where]) == 0
    assert "test accuracy" in capsys.readouterr().out

    # Results are of one text: the same file with another one is refused by its name.
    with (folder / "mine.py").open("a") as file:
        file.write("# changed\n")
    _forget()
    with pytest.raises(SpaceError, match="has another text"):
        load_configs("best.yaml")


def test_an_exception_in_an_epoch_is_that_trials_and_its_traceback_is_kept(
    folder: Path, here: Here, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--storage", str(store.url.database)]
    raising = """        if self.options.width == 4:
            raise ValueError("<b>too wide</b>")
        logits = network("""
    text = TASK.read_text().replace("        logits = network(", raising)
    (folder / "mine.py").write_text(text)
    parameters = {"width": {"type": "categorical", "choices": [2, 4]}}
    changes = {"parameters": parameters, "sampler": {"name": "grid"}, "baselines": []}
    (folder / "own.yaml").write_text(json.dumps({**SPACE, **changes, "confirm": {"top": 0}}))
    assert launch(["--space", "own.yaml", *where]) == 0
    number = 1 + text.splitlines().index('            raise ValueError("<b>too wide</b>")')
    said = " ".join(capsys.readouterr().err.split())
    sentence = f"mine.py, line {number}: ValueError: <b>too wide</b>"
    assert f"({sentence}; its traceback: " in said
    assert "storage show own" in said

    (failed,) = store.runs(state="failed")
    assert failed.reason == sentence
    assert failed.traceback is not None
    assert 'raise ValueError("<b>too wide</b>")' in failed.traceback
    assert failed.traceback.count("File ") == 1
    assert storage(["show", "own", *where]) == 0
    shown = capsys.readouterr().out
    (trial,) = (each for each in read_study(store, "own").trials if each.state == "FAIL")
    assert f"trial {trial.number} failed:\n  Traceback" in shown
    assert f'File "mine.py", line {number}, in loss' in shown
    details = study_document(store, "own").details
    assert "<details><summary>traceback</summary>" in details
    assert "ValueError: &lt;b&gt;too wide&lt;/b&gt;" in details
    assert "<b>too" not in details


@pytest.mark.parametrize(
    ("changes", "text", "problem"),
    [
        ({"trainable": "none.py:Digits"}, None, "there is no file none.py"),
        ({"trainable": "mine.py:Digit"}, None, "did you mean 'Digits'"),
        ({"trainable": "digitpairs"}, None, "did you mean 'digit-pairs'"),
        ({"trainable": "no_such_module:X"}, None, "no module is named 'no_such_module'"),
        ({}, "def Digits(:\n", "mine.py, line 1: not valid Python"),
        ({}, "import os\n\n1 / 0\n", "mine.py, line 3: ZeroDivisionError"),
        (
            {},
            "class Digits:\n    pass\n",
            "expected a class that derives from trainables.Task",
        ),
        (
            {},
            "from trainables import Task\n\n\nclass Digits(Task):\n    pass\n",
            "lacks the",
        ),
        ({}, CLASS.format("learning_rate: float = 0.1"), "which is a setting of training, too"),
        (
            {"parameters": {"momentum": {"type": "float", "low": 0, "high": 0.9}}},
            CLASS.format("depth: int"),
            "options: required, but missing",
        ),
        ({"options": {"widht": 3}}, None, "options.widht: unknown key; allowed: dropout, width"),
        ({"options": {"width": 0}}, None, "options.width: found 0; expected at least 1"),
        ({"objective": {"metric": "val_acuracy"}}, None, "did you mean 'val_accuracy'"),
        ({"objective": {"metric": "test_accuracy"}}, None, "allowed: train_accuracy"),
        ({"parameters": {"depth": {"type": "int", "low": 1, "high": 2}}}, None, "unknown param"),
        ({"model": {"name": "mlp"}}, None, "model: unknown key"),
    ],
)
def test_a_mistake_is_a_sentence(
    folder: Path, changes: dict[str, Any], text: str | None, problem: str
) -> None:
    if text is not None:
        (folder / "mine.py").write_text(text)
    (folder / "own.yaml").write_text(json.dumps({**SPACE, **changes}))
    with pytest.raises(SpaceError) as caught:
        load_space("own.yaml")
    (line,) = caught.value.lines
    assert line.startswith("own.yaml: ")
    assert problem in line


def test_the_text_is_that_of_the_file_and_of_what_it_imports_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (folder / "mine.py").read_text()
    (folder / "mine.py").write_text(f"import search\nfrom beside.deep import WIDTH\n{text}")
    (folder / "beside").mkdir()
    (folder / "beside" / "__init__.py").touch()
    (folder / "beside" / "deep.py").write_text("import further\n\nWIDTH = 3\n")
    for name in ("further", "another", "search"):
        (folder / f"{name}.py").touch()
    found = find_trainable("mine.py:Digits")
    assert found.own is not None
    assert sorted(found.own.files) == [
        "beside/__init__.py", "beside/deep.py", "further.py", "mine.py",
    ]  # fmt: skip
    # Whoever has the text has all of it.
    _forget()
    (folder / "beside" / "deep.py").write_text("WIDTH = 1 / 0\n")
    for name in ("beside", "beside.deep", "further"):
        monkeypatch.delitem(sys.modules, name)
    install(found.own)
    assert find_trainable("mine.py:Digits").pinned == found.pinned
