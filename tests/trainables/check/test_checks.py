"""The command that tries out whether something can be trained finds what is wrong, and says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainables.__main__ import main
from trainables.check.checks import Check, check_trainable
from trainables.finding.find import _KNOWN

FOLDER = Path(__file__).parents[1]
ALWAYS = ["loads", "options", "data", "epochs", "resumes", "seeds"]
LOOP = '''
import random
from trainables import Loop, Metric, Options

class MyOptions(Options):
    """Mine."""
    size: int = 3

class Mine(Loop):
    options: MyOptions
    metrics = (Metric("error"),)

    def load(self, split):
        return [1.0, 2.0, 3.0]

    def begin(self, data):
        self.value = 1.0
        self.draws = random.Random(self.run.training_seed)

    def train_epoch(self):
        self.value *= self.draws.random()
        return {"val_error": self.value}

    def evaluate(self, test):
        return {"test_error": self.value}
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's working directory."""
    monkeypatch.chdir(tmp_path)
    _KNOWN.clear()
    yield tmp_path
    _KNOWN.clear()


def checked(folder: Path, old: str = "", new: str = "") -> list[Check]:
    """What is found where a part of the loop above is another."""
    assert old in LOOP
    _KNOWN.clear()
    (folder / "mine.py").write_text(LOOP.replace(old, new))
    return check_trainable("mine.py:Mine")


def test_a_good_loop_passes(folder: Path) -> None:
    found = checked(folder)
    assert [each.what for each in found] == [*ALWAYS, "test split", "benchmark"]
    assert all(each.ok for each in found)


@pytest.mark.parametrize(
    ("old", "new", "what", "said"),
    [
        (
            "class Mine",
            "class Other",
            "loads",
            "mine.py has no 'Mine'; it defines MyOptions",
        ),
        ("size: int = 3", "size: int", "loads", "options: required, but missing"),
        ("size: int = 3", "size: list[int] = [3]", "options", "options.size is a list, which no"),
        ("return [1.0, 2.0, 3.0]", "return object()", "data", "load gives a object"),
        ("return [1.0, 2.0, 3.0]", "return 1 / 0", "data", "mine.py, line 14: ZeroDivisionError"),
        ('"val_error": self.value', '"val_loss": 1.0', "epochs", "gives 'val_loss'; expected"),
        ("self.value}", "float('inf')}", "epochs", "a metric is not finite in epoch 1"),
        (
            "self.value *= self",
            "self.load('test'), self",
            "test split",
            "the test split was loaded",
        ),
        (
            "random.Random(self.run.training_seed)",
            "random.Random()",
            "resumes",
            "a second run of the same seeds has val_error",
        ),
        (
            "    def evaluate",
            "    def state_dict(self):\n        return {'draws': self.draws}\n\n    def evaluate",
            "resumes",
            "a run that goes on from its checkpoint has val_error",
        ),
        (
            "    def evaluate",
            "    def state_dict(self):\n        return {'f': lambda: 0}\n\n    def evaluate",
            "resumes",
            "Can't pickle",
        ),
        ('"test_error": self', '"error": self', "benchmark", "gives 'error'; expected test_error"),
    ],
)
def test_what_is_wrong_is_said_and_what_rests_on_it_is_not_tried(
    folder: Path, old: str, new: str, what: str, said: str
) -> None:
    *good, bad = checked(folder, old, new)
    assert all(each.ok for each in good)
    assert (bad.what, bad.ok) == (what, False)
    assert said in bad.said
    assert "\n" not in bad.said


def test_what_a_search_does_not_need_is_no_mistake(folder: Path) -> None:
    found = checked(folder, "def evaluate", "def something_else")
    assert found[-1].ok
    assert "cannot be benchmarked: it needs a method evaluate" in found[-1].said
    found = checked(folder, "self.draws.random()", "0.5")
    assert all(each.ok for each in found)
    assert "another training_seed gives the same numbers, too" in found[5].said


def test_users_files_and_what_is_shipped_pass(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("own_digits.py", "own_loop.py"):
        shutil.copy(FOLDER / name, folder / name)
    for name in ("own_digits.py:Digits", "own_loop.py:Linear", "own_loop.py:train", "closed-form"):
        assert main(["check", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert all(line.startswith("ok    ") for line in lines)
        assert len(lines) >= 8
    data = ("data.source=digits", "data.n_train_pairs=60", "model.name=mlp", "model.width=4")
    settings = [word for setting in data for word in ("--set", setting)]
    assert main(["check", "digit-pairs", "--json", *settings]) == 0
    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert all(each["ok"] for each in found.values())
    assert "together" in found


def test_a_failure_is_exit_status_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "digit-pairs", "--set", "model.name=mlpp"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAIL  data: model.name: there is no model 'mlpp'")
    assert "did you mean 'mlp'" in last


def test_a_checkpoint_that_is_left_too_late_is_found(folder: Path) -> None:
    text = """
from trainables import Metric, measures

@measures(Metric("error"))
def mine(options, run):
    n = run.checkpoint or 0
    while True:
        n += 1
        yield {"val_error": 1 / n}
        run.checkpoint = n
"""
    (folder / "mine.py").write_text(text)
    *_, bad = check_trainable("mine.py:mine")
    assert (bad.what, bad.ok) == ("resumes", False)
    assert "goes on from its checkpoint has val_error 0.5 in epoch 3 instead of 0.333" in bad.said
    early = "        run.checkpoint = n\n        yield"
    text = text.replace("        run.checkpoint = n\n", "").replace("        yield", early)
    (folder / "mine.py").write_text(text)
    _KNOWN.clear()
    assert check_trainable("mine.py:mine")[4].ok
