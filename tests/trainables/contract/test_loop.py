"""A user's own loop: its books are kept for it, and what it gives is checked."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from space.errors import DataError, SpaceError, TrainingError
from tests.trainables import own_loop
from trainables import FunctionRun, Loop, Metric, Options
from trainables.contract.loaded import Loaded
from trainables.contract.loop_trainable import LoopConfig, LoopRun
from trainables.contract.run_data import RunData
from trainables.failures import NonFiniteLossError
from trainables.finding.find import find_trainable
from trainables.finding.own import wrapped
from trainables.worker.checkpoint import load_checkpoint, save_checkpoint

OWN = (own_loop.Linear, own_loop.train)


def opened(
    found: Any, *, with_test: bool = False, data: RunData | None = None, **values: Any
) -> LoopRun:
    """A run of a class or a function, as a worker opens it."""
    trainable = wrapped(found, "mine")
    config: LoopConfig = trainable.config_type().with_values(
        {key.replace("__", "."): value for key, value in values.items()}
    )
    if data is None:
        _, data = trainable.settle(config, with_test=with_test)
    run: LoopRun = trainable.open_run(trainable.resolve(config), data)
    return run


def finished(run: LoopRun) -> LoopRun:
    while not run.finished:
        run.run_epoch()
    return run


def numbers(run: LoopRun) -> list[Mapping[str, float]]:
    return [epoch.metrics for epoch in run.history]


@pytest.mark.parametrize("found", OWN)
@pytest.mark.parametrize("at", [1, 4])
def test_a_run_goes_on_from_a_file_as_if_nothing_had_happened(
    found: Any, at: int, tmp_path: Path
) -> None:
    whole = finished(opened(found, training__epochs=6, with_test=True))
    first = opened(found, training__epochs=6, with_test=True)
    for _ in range(at):
        first.run_epoch()
    save_checkpoint(first, tmp_path / "run.ckpt")
    again = opened(found, training__epochs=6, with_test=True)
    load_checkpoint(again, tmp_path / "run.ckpt")
    assert (again.epoch, again.kept) == (first.epoch, first.kept)
    finished(again)
    assert numbers(again) == numbers(whole)
    assert again.notice is None
    test = Loaded.build("Linear", "test", own_loop.Linear(Options()).load("test"))
    assert again.evaluate(test) == whole.evaluate(test)


@pytest.mark.parametrize("found", OWN)
def test_seeds_repeat_and_differ(found: Any) -> None:
    one, two, other, drawn = (
        numbers(finished(opened(found, training__epochs=3, **seeds)))
        for seeds in ({}, {}, {"training__training_seed": 7}, {"data__data_seed": 7})
    )
    assert one == two
    assert one not in (other, drawn)


@pytest.mark.parametrize("found", OWN)
def test_what_is_evaluated_is_the_kept_epochs_state(found: Any) -> None:
    run = finished(opened(found, with_test=True, training__epochs=8, options__eta=0.3))
    assert run.kept is not None
    assert run.kept.epoch < 8
    test = Loaded.build("Linear", "test", own_loop.Linear(Options()).load("test"))
    short = opened(found, with_test=True, training__epochs=run.kept.epoch, options__eta=0.3)
    assert run.evaluate(test) == finished(short).evaluate(test)


class Scripted(Loop):
    """Gives what it is told to."""

    metrics = (Metric("accuracy", maximize=True), Metric("loss"))
    given: Any = None

    def train_epoch(self) -> Mapping[str, float]:
        found: Mapping[str, float] = self.given
        return found


GOOD = {"val_accuracy": 0.5, "val_loss": 1.0}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "gives a NoneType; expected metrics, as in {'val_error': 0.1}"),
        ({**GOOD, "val_acuracy": 1.0}, "gives 'val_acuracy'; expected .* did you mean"),
        ({**GOOD, "accuracy": 1.0}, "gives 'accuracy'; expected"),
        ({"val_loss": 1.0}, "lacks 'val_accuracy'"),
        ({**GOOD, "test_loss": 1.0}, "gives 'test_loss'; expected"),
        ({**GOOD, "val_loss": "low"}, "no number: could not convert"),
    ],
)
def test_metrics_that_are_none_are_said(given: Any, problem: str) -> None:
    run = opened(type("Other", (Scripted,), {"given": given}))
    with pytest.raises(TrainingError, match=problem):
        run.run_epoch()
    assert run.history == []


def test_a_metric_that_is_not_finite_ends_the_run() -> None:
    run = opened(type("Other", (Scripted,), {"given": {**GOOD, "val_accuracy": float("nan")}}))
    with pytest.raises(NonFiniteLossError, match=r"a metric is not finite in epoch 1 \(val_acc"):
        run.run_epoch()


def test_the_kept_epoch_is_the_best_by_the_first_metric_then_by_the_loss() -> None:
    run = opened(type("Other", (Scripted,), {"given": GOOD}), training__epochs=3)
    for accuracy, loss in ((0.5, 1.0), (0.7, 2.0), (0.7, 1.5)):
        run.loop.given = {"val_accuracy": accuracy, "val_loss": loss, "train_loss": 0.0}  # type: ignore[attr-defined]
        run.run_epoch()
    assert run.kept is not None
    assert run.kept.epoch == 3


def test_options_that_do_not_go_together_are_refused_before_any_run() -> None:
    class Picky(Scripted):
        def __init__(self, options: Options) -> None:
            super().__init__(options)
            raise ValueError("heads does not divide width")

    trainable = wrapped(Picky, "mine")
    with pytest.raises(TrainingError, match="heads does not divide width"):
        trainable.resolve(trainable.config_type())


def test_without_evaluate_there_is_no_benchmark() -> None:
    with pytest.raises(DataError, match="cannot be benchmarked: it needs a method evaluate"):
        opened(Scripted, with_test=True)
    with pytest.raises(DataError, match=r"it needs @measures\(Metric\('error'\)\)"):
        opened(own_loop.plain, with_test=True)


@pytest.mark.parametrize(
    "other",
    [
        {"x": np.zeros((2, 3)), "y": [1, 2]},
        {"x": np.zeros((3, 2)), "y": [1, 3]},
        {"x": np.zeros((3, 2), dtype="f4"), "y": [1, 2]},
        {"x": np.zeros((3, 2)), "y": [1, 2], "z": None},
        {"x": torch.ones(3, 2), "y": [1, 2]},
        {"x": b"12", "y": [1, 2]},
        [("x", np.zeros((3, 2))), ("y", [1, 2])],
    ],
)
def test_other_data_have_another_fingerprint(other: Any) -> None:
    data = {"x": np.zeros((3, 2)), "y": [1, 2]}
    one = Loaded.build("s", "train", data).fingerprint
    assert one == Loaded.build("s", "train", {**data, "y": [1, 2]}).fingerprint
    assert one == Loaded.build("s", "train", {**data, "x": torch.zeros(3, 2).double()}).fingerprint
    assert one != Loaded.build("s", "train", other).fingerprint
    assert one != Loaded.build("s", "test", data).fingerprint


def test_what_has_no_fingerprint_is_refused_and_may_bring_its_own() -> None:
    class Table:
        fingerprint: Any = None

    with pytest.raises(DataError, match="load gives a Table, of which no fingerprint can be taken"):
        Loaded.build("s", "train", [Table()])
    Table.fingerprint = "ab12"
    one = Loaded.build("s", "train", [Table()]).fingerprint
    Table.fingerprint = "ab13"
    assert one != Loaded.build("s", "train", [Table()]).fingerprint


def counted(options: Options, run: FunctionRun) -> Iterator[Mapping[str, float]]:
    """Leaves a checkpoint every third epoch."""
    n = run.checkpoint or 0
    while True:
        n += 1
        if n % 3 == 0:
            run.checkpoint = n
        yield {"val_error": 1 / n, "train_error": float(run.epoch)}


@pytest.mark.parametrize("at", [2, 3, 5])
def test_a_function_goes_on_from_its_last_checkpoint_and_repeats_what_lies_after(
    at: int, tmp_path: Path
) -> None:
    whole = finished(opened(counted, training__epochs=7))
    first = opened(counted, training__epochs=7)
    for _ in range(at):
        first.run_epoch()
    save_checkpoint(first, tmp_path / "run.ckpt")
    again = opened(counted, training__epochs=7)
    load_checkpoint(again, tmp_path / "run.ckpt")
    assert numbers(finished(again)) == numbers(whole)
    assert again.notice is None


def test_a_function_that_repeats_other_numbers_is_said_to(tmp_path: Path) -> None:
    draws = iter([0.5, 0.4, 0.5, 0.3, 0.2])

    def drawn(options: Options, run: FunctionRun) -> Iterator[Mapping[str, float]]:
        while True:
            yield {"val_error": next(draws)}

    first = opened(drawn, training__epochs=3)
    first.run_epoch()
    first.run_epoch()
    save_checkpoint(first, tmp_path / "run.ckpt")
    again = opened(drawn, training__epochs=3)
    load_checkpoint(again, tmp_path / "run.ckpt")
    again.run_epoch()
    assert again.notice is not None
    assert "has val_error 0.3 in epoch 2, where 0.4 is recorded" in again.notice
    assert [each["val_error"] for each in numbers(again)] == [0.5, 0.4, 0.2]


def ends(options: Options, run: FunctionRun) -> Iterator[Mapping[str, float]]:
    yield {"val_error": 0.5}


def peeks(options: Options, run: FunctionRun) -> Iterator[Mapping[str, float]]:
    yield {"val_error": 0.5, "test_error": 0.4}


def says_nothing(options: Options, run: FunctionRun) -> Iterator[Any]:
    yield


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (ends, "ended after 1 epochs, and training.epochs is 25"),
        (peeks, "yields test_error in a search, which never sees the test split"),
        (says_nothing, "yields a NoneType; expected metrics"),
    ],
)
def test_what_a_function_must_not_do_is_said(function: Callable[..., Any], problem: str) -> None:
    with pytest.raises(TrainingError, match=problem):
        finished(opened(function))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def X(options, run): return 1", "mine.py, line 3: .* without a yield"),
        ("def X(options): yield", "has 1 parameters; expected two"),
        ("def X(options: int, run): yield", "'options' is said to be int; expected a class that"),
        ("X = 3", "is a int; expected a class that derives from trainables.Task"),
        ("class X(Loop): pass", "mine.py, line 3: .* lacks the method train_epoch"),
        ("class X(Own): metrics = ()", "measures nothing; expected metrics = "),
        ("class X(Own): metrics = 'error'", r"metrics are 'error'; expected a tuple"),
        ("class X(Own): metrics = ('error',)", r"have 'error'; expected Metric\('error'\)"),
        ("class X(Own): metrics = (Metric('val_loss'),)", r"names a split; expected Metric\('lo"),
        ("class X(Own): metrics = (Metric('a'), Metric('a'))", "two of its metrics are called 'a'"),
        ("class X(Own): options: dict", "options is said to be dict; expected a class that"),
        ("class X(Own): options: 'Nothing'", "options is said to be Nothing; expected"),
        ("class X(Own): options: Bad", "have 'epochs', which is a setting of training, too"),
    ],
)
def test_a_mistake_in_a_class_or_function_is_a_sentence_with_its_line(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = """
        class Bad(Options):
            epochs: int = 3

        class Own(Loop):
            metrics = (Metric("error"),)

            def train_epoch(self):
                return {}
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainables.finding.find._KNOWN", {})
    (tmp_path / "mine.py").write_text(
        f"from trainables import Loop, Metric, Options\n\n{text}\n"
        if "Own" not in text
        else f"from trainables import Loop, Metric, Options\n{textwrap.dedent(before)}\n{text}\n"
    )
    with pytest.raises(SpaceError, match=problem) as caught:
        find_trainable("mine.py:X")
    assert str(caught.value).startswith("mine.py")
