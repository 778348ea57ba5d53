"""Callbacks of whole launches: named, checked before anything is trained, and in nobody's way."""

from __future__ import annotations

import importlib.util
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import search
from search.callbacks import telling
from search.callbacks.find import _SHIPPED
from space.errors import UsageError, UserError
from storage import open_store

from ..conftest import SPACE
from ..here import Here

OWN = """
import json, sys, threading
from pathlib import Path

from search.callbacks import Callback


class Notes(Callback):
    catches_up = True

    def __init__(self, file="notes.jsonl"):
        self._file = Path(file)

    def _write(self, *what):
        with self._file.open("a") as file:
            print(json.dumps(what), file=file)

    def begin(self, run):
        self._write("begin", run.name)

    def epochs(self, run, epochs):
        self._write("epochs", run.name, [each.epoch for each in epochs])

    def end(self, run):
        self._write("end", run.name, run.state, run.kept)

    def close(self):
        self._write("close")


class Broken(Callback):
    def epochs(self, run, epochs):
        sys.exit("No space left on the device")


class Slow(Callback):
    def begin(self, run):
        threading.Event().wait()


class NoCallback:
    pass
"""
FOUR: dict[str, Any] = {**SPACE, "training": {"epochs": 3}, "budget": {"trials": 4}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a user's file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path


def launched(*callbacks: Any, **options: Any) -> search.Study:
    return search.launch(FOUR, callbacks=callbacks, storage="s.db", progress=False, **options)


def notes(name: str = "notes.jsonl") -> list[Any]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def epochs_of(name: str, found: list[Any]) -> list[int]:
    return [epoch for what in found if what[:2] == ["epochs", name] for epoch in what[2]]


def test_an_own_callback_hears_of_a_whole_launch(folder: Path, here: Here) -> None:
    launched("mine.py:Notes", {"name": "own", "file": "mine.py:Notes", "options": {"file": "b"}})
    for found in (notes(), notes("b")):
        assert [what[1] for what in found if what[0] == "begin"] == [f"trial {i}" for i in range(4)]
        assert all(epochs_of(f"trial {number}", found) == [1, 2, 3] for number in range(4))
        assert {what[2] for what in found if what[0] == "end"} == {"COMPLETE"}
        assert found[-1] == ["close"]
    with closing(open_store("s.db", look=True)) as store:
        (launch,) = store.launches()
        assert [each["file"] for each in launch.config["callbacks"]] == ["mine.py:Notes"] * 2
        (record,) = store.study_records().values()
        assert "callbacks" not in " ".join(record.identity)


def test_a_callback_that_is_named_later_is_told_what_there_is(folder: Path, here: Here) -> None:
    study = launched()
    n_epochs = here.n_epochs
    launched("mine.py:Notes")
    assert here.n_epochs == n_epochs
    assert len(study.view.launches) == 2
    assert [what[1] for what in notes() if what[0] == "end"] == [f"trial {i}" for i in range(4)]


@pytest.mark.parametrize("name", ["Broken", "Slow"])
def test_no_callback_stops_a_search_or_another_callback(
    folder: Path,
    here: Here,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(telling, "FLUSH_SECONDS", 5.0 if name == "Broken" else 0.5)
    study = launched(f"mine.py:{name}", "mine.py:Notes")
    assert (study.ended, study.counts["COMPLETE"]) == ("done", 4)
    (said,) = [each.getMessage() for each in caplog.records if "callback" in each.getMessage()]
    assert said.startswith(f"callback mine.py:{name} ")
    expected = "No space left" if name == "Broken" else "has not taken everything of 4 runs"
    assert expected in said
    assert "\n" not in said


def test_trials_that_are_asked_for_are_told_of(folder: Path) -> None:
    space = {**FOUR, "callbacks": ["mine.py:Notes"], "budget": {"trials": 1}}
    with search.open_study(space=space, storage="s.db") as study:
        trial = study.ask()
        assert trial is not None
        for error in (0.3, 0.2, 0.1):
            metrics = {"val_error": error, "val_loss": error}
            study.report(trial, metrics)
    found = notes()
    assert epochs_of("trial 0", found) == [1, 2, 3]
    assert found[-2][:3] == ["end", "trial 0", "COMPLETE"]
    assert found[-2][3]["val_error"] == 0.1


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        ("tensorbord", "did you mean 'tensorboard'"),
        ("nowhere.py:Notes", "there is no file nowhere.py"),
        ("mine.py:Note", "it has Notes, Broken, Slow; did you mean 'Notes'?"),
        ("mine.py:NoCallback", "derives from Callback"),
        ("broken.py:Notes", "broken.py: ZeroDivisionError"),
        ({"name": "mlflow", "uri": "https://me:hidden@there/x"}, "MLFLOW_TRACKING_URI"),
        ({"name": "mlflow", "uri": "postgresql://there/x?password=hidden"}, "environment"),
        ({"name": "wandb", "folders": "x"}, "did you mean 'folder'"),
    ],
)
def test_what_cannot_be_told_is_refused_before_anything_is_there(
    folder: Path, here: Here, callback: Any, said: str
) -> None:
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(UserError, match=said.replace("?", r"\?")) as caught:
        launched(callback)
    assert "hidden" not in str(caught.value)
    with pytest.raises(UserError, match=said.replace("?", r"\?")) as caught:
        search.benchmark("table1", callbacks=[callback], storage="s.db")
    assert "hidden" not in str(caught.value)
    assert not (folder / "s.db").exists()


@pytest.mark.parametrize("name", _SHIPPED)
def test_a_missing_library_is_named_with_its_extra(
    folder: Path, here: Here, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda each: None if each == name else there(each)
    )
    with pytest.raises(UsageError, match=rf"pip install 'digit-pair-search\[{name}\]'"):
        launched(name)
    assert not (folder / "s.db").exists()
