"""What a user is told of an exception in their code: their part of it, and no more than that."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from space.errors import DataError, ModelError
from trainables.contract.trainable import Trainable
from trainables.finding.find import _KNOWN, find_trainable, install
from trainables.tracebacks import MOST_CHARACTERS, describe, traceback_of
from trainables.worker.assigned import AssignedRun
from trainables.worker.steps import BatchedSteps

TASK = (Path(__file__).parent / "own_digits.py").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    _KNOWN.clear()
    yield tmp_path
    _KNOWN.clear()


@pytest.fixture
def task(folder: Path) -> Callable[..., Trainable[Any]]:
    """The task of ten digits with some of its text replaced."""

    def make(*changes: tuple[str, str]) -> Trainable[Any]:
        text = TASK
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / "mine.py").write_text(text)
        return find_trainable("mine.py:Digits")

    return make


def assigned(trainable: Trainable[Any], n: int = 1) -> list[AssignedRun]:
    """Runs on seeds of their own, as a worker gets them."""
    config = trainable.config_type.model_validate(
        {"trainable": trainable.name, "training": {"epochs": 3, "batch_size": 30}}
    )
    config, data = trainable.settle(config)
    return [
        AssignedRun(
            {
                "run_id": i,
                "config": trainable.resolve(
                    config.with_values({"data.data_seed": i, "training.training_seed": i})
                ).model_dump(mode="json"),
                "checkpoint": None,
                "n_epochs": 0,
                "evaluate": False,
                "together": True,
            },
            data,
        )
        for i in range(n)
    ]


LAYER = (
    "        head = (",
    '''        class Layer(nn.Module):
            """One that fails."""

            def forward(self, x):
                try:
                    return {}["absent"]
                except KeyError as error:
                    raise ValueError("<b>it broke</b>") from error

        return nn.Sequential(nn.Conv2d(1, 1, 1), Layer())
        head = (''',
)


def test_the_users_frames_are_told_and_ours_are_not(task: Callable[..., Trainable[Any]]) -> None:
    (run,) = assigned(task(LAYER))
    (report,) = BatchedSteps().step([run])
    told = report["traceback"].splitlines()
    frames = [line.strip() for line in told if line.startswith("  File")]
    assert [frame.partition(", line")[0] for frame in frames] == ['File "mine.py"'] * 3
    assert [frame.rpartition(" ")[2] for frame in frames] == ["forward", "loss", "forward"]
    assert 'return {}["absent"]' in [line.strip() for line in told]
    assert told[-1] == "ValueError: <b>it broke</b>"
    number = 1 + (Path("mine.py").read_text().splitlines().index(
        '                    raise ValueError("<b>it broke</b>") from error'
    ))  # fmt: skip
    assert report["failure"] == f"mine.py, line {number}: ValueError: <b>it broke</b>"


def test_a_worker_that_has_but_the_text_tells_the_same(
    task: Callable[..., Trainable[Any]], folder: Path
) -> None:
    found = task(LAYER)
    (run,) = assigned(found)
    (here,) = BatchedSteps().step([run])
    _KNOWN.clear()
    Path("mine.py").rename("gone.py")
    own = found.own
    assert own is not None
    install(own)
    (there,) = BatchedSteps().step([AssignedRun(run_assignment(run), run._data)])
    assert there["traceback"] == here["traceback"]
    assert there["failure"] == here["failure"]


def run_assignment(run: AssignedRun) -> dict[str, Any]:
    return {
        "run_id": 1,
        "config": run._config.model_dump(mode="json"),
        "checkpoint": None,
        "n_epochs": 0,
        "evaluate": False,
        "together": True,
    }


def test_what_their_last_frame_called_is_told_too(task: Callable[..., Trainable[Any]]) -> None:
    wrong = ("F.cross_entropy(logits, batch", "F.cross_entropy(logits[:, 0], batch")
    (run,) = assigned(task(wrong))
    (report,) = BatchedSteps().step([run])
    frames = [line for line in report["traceback"].splitlines() if line.startswith("  File")]
    assert '"mine.py"' in frames[0]
    assert "functional.py" in frames[1]
    assert not any("trainables" in frame for frame in frames)
    assert report["failure"].startswith("mine.py, line ")


def test_one_runs_defect_is_not_the_groups(task: Callable[..., Trainable[Any]]) -> None:
    defect = (
        "    def network(self)",
        '''    def epoch(self, train, order, augmentation):
        """One run's samples are refused."""
        if self.refused is not None and torch.equal(train["y"], self.refused):
            raise OSError("a disk is full")
        return super().epoch(train, order, augmentation)

    refused = None

    def network(self)''',
    )
    found: Any = task(defect)
    runs = assigned(found, 3)
    steps = BatchedSteps()
    first = steps.step(runs)
    assert not any(report["failure"] for report in first)
    training = runs[1].training
    assert training is not None
    found._task.refused = training.parts["train"]["y"]
    second = steps.step(runs)
    assert [report["failure"] is not None for report in second] == [False, True, False]
    assert "OSError: a disk is full" in second[1]["failure"]
    assert 'File "mine.py"' in second[1]["traceback"]
    assert not any(report["warning"] for report in second)
    third = steps.step([runs[0], runs[2]])
    assert [report["failure"] for report in third] == [None, None]
    assert len(steps._batches) == 1  # The others are one model again.


def test_a_long_one_loses_its_middle(task: Callable[..., Trainable[Any]]) -> None:
    def deep(n: int) -> None:
        if n:
            (deep if n % 2 else shallow)(n - 1)
        raise ValueError("x" * 5000)

    def shallow(n: int) -> None:
        deep(n)

    with pytest.raises(ValueError) as caught:
        deep(200)
    told = traceback_of(caught.value)
    assert MOST_CHARACTERS < len(told) < MOST_CHARACTERS + 100
    assert told.startswith("Traceback")
    assert "characters left out" in told


def test_a_bug_of_ours_keeps_all_of_its_traceback() -> None:
    from space.words import joined

    with pytest.raises(ValueError) as caught:
        joined([])
    theirs = caught.value.__traceback__
    assert theirs is not None
    caught.value.__traceback__ = theirs.tb_next  # As if we had called it ourselves.
    whole = "".join(traceback.format_exception(caught.value)).replace(f"{Path.cwd()}/", "")
    assert traceback_of(caught.value) == whole


def test_a_bug_of_ours_is_no_mistake(
    task: Callable[..., Trainable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = task()
    monkeypatch.setattr("trainables.loop.task_trainable.draw_parts", len)
    with pytest.raises(TypeError):
        found.settle(found.config_type.model_validate({"trainable": found.name}))


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ("found = load_digits()", 'found = open("absent.csv")', DataError, "FileNotFoundError"),
        ("width = self.options.width", "width = 1 // 0", ModelError, "ZeroDivisionError"),
    ],
)
def test_a_mistake_in_the_process_that_was_started_is_a_sentence(
    task: Callable[..., Trainable[Any]], old: str, new: str, kind: type[Exception], said: str
) -> None:
    found = task((old, new))
    config = found.config_type.model_validate({"trainable": found.name})
    ask: Callable[[Any], Any] = found.settle if kind is DataError else found.n_parameters
    with pytest.raises(kind) as caught:
        ask(config)
    assert str(caught.value).startswith("mine.py, line ")
    assert said in str(caught.value)


def test_an_exception_without_words_is_told_by_its_name() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError
    assert describe(caught.value).endswith(": KeyError")
