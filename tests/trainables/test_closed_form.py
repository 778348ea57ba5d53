"""The run whose curve is a formula."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from space.errors import ModelError
from tests.harness.configs import open_run
from trainables.failures import NonFiniteLossError
from trainables.shipped.closed_form import ClosedForm, final_error
from trainables.shipped.digit_pairs.config import DigitPairsConfig

MakeConfig = Callable[..., DigitPairsConfig]


@pytest.fixture
def make(make_config: MakeConfig) -> Callable[..., ClosedForm]:
    """Builds a run of the closed form, through the door that studies use."""

    def build(**values: Any) -> ClosedForm:
        run = open_run(make_config("closed-form", **{"training__epochs": 30, **values}))
        assert isinstance(run, ClosedForm)
        return run

    return build


def _errors(run: ClosedForm) -> list[float]:
    while not run.finished:
        run.run_epoch()
    return [metrics["val_error"] for metrics in run.history]


def test_curve_is_the_stated_formula(make: Callable[..., ClosedForm]) -> None:
    rate, decay, w = 3e-3, 1e-4, 0.4
    run = make(training__learning_rate=rate, training__weight_decay=decay, training__aux_weight=w)
    z = 0.5 * (math.log10(rate) + 3) ** 2 + 0.05 * (math.log10(decay + 1e-6) + 3) ** 2
    z += 0.5 * (w - 0.6) ** 2
    final = 0.03 + 0.47 * (1 - math.exp(-z))
    assert final_error(run.config.training) == pytest.approx(final)
    tau = 5 * (rate / 1e-3) ** -0.25
    residuals = [
        error - final - (0.5 - final) * math.exp(-epoch / tau)
        for epoch, error in enumerate(_errors(run), start=1)
    ]
    assert 0 < max(map(abs, residuals)) < 0.025
    assert len(set(residuals)) == 30


def test_noise_comes_from_the_seed(make: Callable[..., ClosedForm]) -> None:
    assert _errors(make()) == _errors(make())
    assert _errors(make()) != _errors(make(training__training_seed=1))


@pytest.mark.parametrize(
    ("path", "best", "worse"),
    [
        ("training__learning_rate", 1e-3, 1e-1),
        ("training__learning_rate", 1e-3, 1e-5),
        ("training__weight_decay", 1e-3, 1e-1),
        ("training__aux_weight", 0.6, 0.0),
    ],
)
def test_the_bowl_has_its_bottom_where_it_says(
    path: str, best: float, worse: float, make_config: MakeConfig
) -> None:
    good, bad = (make_config("closed-form", **{path: value}) for value in (best, worse))
    assert final_error(good.training) < final_error(bad.training)


def test_kept_is_the_best_epoch(make: Callable[..., ClosedForm]) -> None:
    run = make()
    errors = _errors(run)
    assert run.kept is not None
    assert run.kept["val_error"] == min(errors)
    assert errors[run.kept.epoch - 1] == min(errors)


def test_failures_that_are_asked_for(make: Callable[..., ClosedForm]) -> None:
    run = make(model__options__fail_at=3)
    with pytest.raises(RuntimeError, match="epoch 3"):
        _errors(run)
    assert run.epoch == 2
    run = make(model__options__nan_at=2)
    with pytest.raises(NonFiniteLossError, match="epoch 2"):
        _errors(run)
    assert run.epoch == 1


def test_sleep(make: Callable[..., ClosedForm]) -> None:
    run = make(model__options__sleep=0.01, training__epochs=1)
    assert run.run_epoch().seconds >= 0.01
    with pytest.raises(RuntimeError, match="finished"):
        run.run_epoch()


@pytest.mark.parametrize("marked", [False, True])
def test_exit_kills_the_process_once(
    marked: bool, make: Callable[..., ClosedForm], tmp_path: Path
) -> None:
    marker = tmp_path / "died"
    run = make(
        model__options__exit_at=2, model__options__exit_marker=str(marker), training__epochs=3
    )
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


def test_options_are_checked(make_config: MakeConfig) -> None:
    with pytest.raises(ModelError, match=r"options\.nan_att.*did you mean 'nan_at'"):
        make_config("closed-form", model__options__nan_att=1)
    with pytest.raises(ModelError, match=r"options\.sleep of 'closed-form' is -1"):
        make_config("closed-form", model__options__sleep=-1)
