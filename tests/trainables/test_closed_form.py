"""The run whose curve is a formula."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.configs import closed_form, open_run
from trainables.contract.loop_trainable import LoopRun
from trainables.failures import NonFiniteLossError
from trainables.shipped.closed_form import ClosedForm, ClosedFormOptions, final_error

MakeRun = Callable[..., LoopRun]


@pytest.fixture
def make() -> MakeRun:
    """Builds a run of the closed form, through the door that studies use."""

    def build(**values: Any) -> LoopRun:
        run = open_run(closed_form(**{"training__epochs": 30, **values}))
        assert isinstance(run.loop, ClosedForm)
        return run

    return build


def _errors(run: LoopRun) -> list[float]:
    while not run.finished:
        run.run_epoch()
    return [metrics["val_error"] for metrics in run.history]


def test_curve_is_the_stated_formula(make: MakeRun) -> None:
    rate, decay, w = 3e-3, 1e-4, 0.4
    run = make(learning_rate=rate, weight_decay=decay, aux_weight=w)
    z = 0.5 * (math.log10(rate) + 3) ** 2 + 0.05 * (math.log10(decay + 1e-6) + 3) ** 2
    z += 0.5 * (w - 0.6) ** 2
    final = 0.03 + 0.47 * (1 - math.exp(-z))
    assert final_error(run.config.value("options")) == pytest.approx(final)
    tau = 5 * (rate / 1e-3) ** -0.25
    residuals = [
        error - final - (0.5 - final) * math.exp(-epoch / tau)
        for epoch, error in enumerate(_errors(run), start=1)
    ]
    assert 0 < max(map(abs, residuals)) < 0.025
    assert len(set(residuals)) == 30


def test_noise_comes_from_the_seed(make: MakeRun) -> None:
    assert _errors(make()) == _errors(make())
    assert _errors(make()) != _errors(make(training__training_seed=1))


@pytest.mark.parametrize(
    ("path", "best", "worse"),
    [
        ("learning_rate", 1e-3, 1e-1),
        ("learning_rate", 1e-3, 1e-5),
        ("weight_decay", 1e-3, 1e-1),
        ("aux_weight", 0.6, 0.0),
    ],
)
def test_the_bowl_has_its_bottom_where_it_says(path: str, best: float, worse: float) -> None:
    good, bad = (ClosedFormOptions(**{path: value}) for value in (best, worse))
    assert final_error(good) < final_error(bad)


def test_kept_is_the_best_epoch(make: MakeRun) -> None:
    run = make()
    errors = _errors(run)
    assert run.kept is not None
    assert run.kept["val_error"] == min(errors)
    assert errors[run.kept.epoch - 1] == min(errors)


def test_failures_that_are_asked_for(make: MakeRun) -> None:
    run = make(fail_at=3)
    with pytest.raises(RuntimeError, match="epoch 3"):
        _errors(run)
    assert run.epoch == 2
    run = make(nan_at=2)
    with pytest.raises(NonFiniteLossError, match="epoch 2"):
        _errors(run)
    assert run.epoch == 1


def test_sleep(make: MakeRun) -> None:
    run = make(sleep=0.01, training__epochs=1)
    assert run.run_epoch().seconds >= 0.01
    with pytest.raises(RuntimeError, match="finished"):
        run.run_epoch()


@pytest.mark.parametrize("marked", [False, True])
def test_exit_kills_the_process_once(marked: bool, make: MakeRun, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    run = make(exit_at=2, exit_marker=str(marker), training__epochs=3)
    if marked:
        marker.touch()
    script = (
        "import json, sys; from trainables.finding.find import read_config, trainable_of\n"
        "from trainables.contract.run_data import RunData\n"
        "config = read_config(json.loads(sys.argv[1]))\n"
        "run = trainable_of(config).open_run(config, RunData())\n"
        "while not run.finished: print(run.run_epoch().epoch, flush=True)"
    )
    child = subprocess.run(
        [sys.executable, "-c", script, run.config.model_dump_json()],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (child.returncode, child.stdout.split()) == (
        (0, ["1", "2", "3"]) if marked else (1, ["1"])
    )
    assert marker.exists()


def test_what_it_tends_to_on_the_test_split_is_what_it_tends_to(make: MakeRun) -> None:
    run = open_run(closed_form(training__epochs=30), with_test=True)
    errors = _errors(run)
    found = run.evaluate(None)
    assert found["val_error"] == min(errors)
    assert found["test_error"] != found["val_error"]
    assert found["test_error"] == pytest.approx(found["val_error"], abs=0.03)
    # A search keeps no state that it has no use for.
    with pytest.raises(RuntimeError, match="no state is kept"):
        make().evaluate(None)
