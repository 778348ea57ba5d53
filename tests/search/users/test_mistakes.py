"""Mistakes in a user's file, at each of the three levels, and what each is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.launch.__main__ import main as launch
from space.errors import UserError
from storage import Store
from trainables.finding.find import _KNOWN

from ..here import Here

TASK = (Path(__file__).parents[2] / "trainables" / "own_digits.py").read_text()
LOOP = (Path(__file__).parents[2] / "trainables" / "own_loop.py").read_text()
HEAD = """from trainables import Options


class Own(Options):
    width: int = 3


"""
FUNCTION = (
    HEAD
    + """def train(options: Own, run):
    for epoch in range(run.epochs):
        {}
"""
)
RETURN = 'return F.cross_entropy(logits, batch["y"]), {"accuracy": right}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    _KNOWN.clear()
    yield tmp_path
    _KNOWN.clear()


def search(folder: Path, store: Store, name: str, text: str, **changes: Any) -> int:
    (folder / "mine.py").write_text(text)
    tree: dict[str, Any] = {
        "study": "own",
        "trainable": f"mine.py:{name}",
        "training": {"epochs": 3},
        "parameters": {"width": {"type": "int", "low": 2, "high": 4}},
        "budget": {"trials": 1},
        "resources": {"gpus": 0, "runs_per_trainable": 1},
        **changes,
    }
    (folder / "own.yaml").write_text(json.dumps(tree))
    return launch(["--space", "own.yaml", "--storage", str(store.url.database)])


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("import torch\n", "import torch\nimport absent_module\n", "mine.py, line 6: ModuleNotF"),
        ("rows = slice(0, 300)", "rows = slic(0, 300)", "NameError: name 'slic' is not defined"),
        ('"y": torch.tensor(found.target[rows])', '"y": torch.ones(7)', "300 of 'x', 7 of 'y'"),
        ("found = load_digits()", 'found = open("absent.csv")', "FileNotFoundError"),
        ("return nn.Sequential(*features", "return (nn.Sequential(*features", "not valid Python"),
        ('(Metric("accuracy", maximize=True),)', '"accuracy"', "expected a tuple"),
        ('(Metric("accuracy", maximize=True),)', "(Metric,)", "expected Metric("),
        (
            'Metric("accuracy"',
            'Metric("val_accuracy"',
            "names a split; expected Metric('accuracy')",
        ),
    ],
)
def test_a_mistake_of_the_file_is_a_sentence_before_any_trial(
    folder: Path, here: Here, store: Store, old: str, new: str, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        search(folder, store, "Digits", changed(TASK, old, new))
    (line,) = str(caught.value).splitlines()
    assert "mine.py" in line
    assert said in line
    assert store.runs() == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (RETURN, 'return F.cross_entropy(logits, batch["y"])', "gives Tensor; expected the mean l"),
        (RETURN, RETURN.replace("right}", "right.mean()}"), "the scores 'accuracy' of 50 samples"),
        (RETURN, RETURN.replace('["y"])', '["y"], reduction="none")'), "a scalar"),
        (
            RETURN,
            RETURN.replace('"accuracy"', '"acuracy"'),
            "measures acuracy, loss, but its class",
        ),
        (RETURN, RETURN.replace("right}", "1.0}"), "as float; expected a Tensor"),
        ('network(batch["x"])', 'network(batch["z"])', "KeyError: 'z'"),
        ("/ 16", "/ 16 * float('nan')", "the loss is not finite in epoch 1"),
        (
            'logits = network(batch["x"])',
            'logits = network(batch["x"].flatten())',
            "RuntimeError: ",
        ),
    ],
)
def test_a_mistake_in_an_epoch_is_that_trials_failure(
    folder: Path, here: Here, store: Store, old: str, new: str, said: str
) -> None:
    assert search(folder, store, "Digits", changed(TASK, old, new)) == 1
    (run,) = store.runs()
    assert run.state == "failed"
    assert run.reason is not None
    assert said in run.reason
    assert "\n" not in run.reason
    assert "not finite" in said or run.reason.startswith("mine.py, line ")


OBJECTIVE = {"objective": {"metric": "val_error", "direction": "minimize"}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("yield 0.5", "yields a float; expected metrics"),
        ("yield {'error': 0.5}", "gives 'error'; expected "),
        ("yield {'val_error': 'low'}", "is no number"),
        ("yield {'val_error': 0.5, 'test_error': 0.5}", "never sees the test split"),
        ("yield {'val_error': float('nan')}", "not finite"),
        ("yield from ()", "ended after 0 epochs"),
        ("yield {'val_error': 1 / (2 - epoch)}", "mine.py, line 10: ZeroDivisionError"),
        ("run.checkpoint = lambda: 0; yield {'val_error': 0.5}", "pickle"),
    ],
)
def test_a_mistake_in_a_function_is_that_trials_failure(
    folder: Path, here: Here, store: Store, body: str, said: str
) -> None:
    status = search(folder, store, "train", FUNCTION.format(body), **OBJECTIVE)
    (run,) = store.runs()
    assert (status, run.state) == (1, "failed")
    assert run.reason is not None
    assert said in run.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "def train(options, run):\n    return 1\n", "a function without a yield"),
        (HEAD + "def train():\n    yield 1\n", "has 0 parameters; expected two"),
        (HEAD + "train = 3\n", "is a int; expected"),
    ],
)
def test_what_is_no_trainable_is_told_so(
    folder: Path, here: Here, store: Store, text: str, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        search(folder, store, "train", text, **OBJECTIVE)
    assert said in str(caught.value)
    assert "mine.py" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("self.model.partial_fit(", "self.modle.partial_fit(", "AttributeError"),
        ('f"{split}_error": 1', 'f"{split}_eror": 1', "did you mean 'train_error'"),
    ],
)
def test_a_mistake_in_a_loop_is_that_trials_failure(
    folder: Path, here: Here, store: Store, old: str, new: str, said: str
) -> None:
    parameters = {"eta": {"type": "float", "low": 1e-3, "high": 1e-1}}
    text = changed(LOOP, old, new)
    assert search(folder, store, "Linear", text, parameters=parameters) == 1
    (run,) = store.runs()
    assert run.reason is not None
    assert said in run.reason
