"""Which form of a file a study is searched in, here and wherever it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dashboards.statistics.verdicts import seeds_needed
from search.launch import plan as plans
from search.launch.__main__ import main
from search.launch.plan import Plan
from search.launch.progress import LineProgress
from search.workers.ray_session import Slots
from space import load_space
from space.errors import SpaceError
from storage import Store, open_store
from tests.search.conftest import new_launch, open_study, opened

MakePlan = Callable[..., Plan]
PART = {"training": {"epochs": 4}, "baselines": [], "budget": {"trials": 5}}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Gives this machine a GPU or takes it away."""

    def give(gpu: bool) -> None:
        monkeypatch.setattr(plans, "gpu_names", lambda: ["a GPU"] if gpu else [])

    return give


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The store that the plans name."""
    with closing(open_store(str(tmp_path / "s.db"))) as opened:
        yield opened


@pytest.mark.parametrize(
    ("gpu", "changes", "epochs"),
    [
        (True, {}, 9),
        (False, {}, 4),
        (False, {"resources": {"gpus": 1}}, 4),
        (True, {"resources": {"gpus": 1}}, 9),
        (True, {"resources": {"gpus": 0.5}}, 9),
        (True, {"resources": {"gpus": 0}}, 4),
        (True, {"training": {"epochs": 9, "device": "cpu"}}, 4),
    ],
)
def test_the_part_holds_where_trials_get_no_gpu(
    plan_for: MakePlan,
    machine: Callable[[bool], None],
    gpu: bool,
    changes: dict[str, Any],
    epochs: int,
) -> None:
    machine(gpu)
    plan = plan_for(without_gpu=PART, **changes)
    assert plan.space.training.epochs == epochs
    assert plan.space.without_gpu is (epochs == 4)


@pytest.mark.parametrize("begun_with_gpu", [False, True])
def test_a_study_goes_on_in_the_form_it_was_begun_in(
    plan_for: MakePlan, store: Store, machine: Callable[[bool], None], begun_with_gpu: bool
) -> None:
    machine(begun_with_gpu)
    begun = plan_for(without_gpu=PART)
    study = open_study(begun, store)
    machine(not begun_with_gpu)
    going_on = plan_for(without_gpu=PART)
    assert going_on.space == begun.space
    assert open_study(going_on, store)._study_id == study._study_id
    assert going_on.form is not None
    assert "the study was begun so" in going_on.form
    # Another study is this machine's own.
    other = plan_for(without_gpu=PART, study="other")
    assert other.space.without_gpu is begun_with_gpu
    launch = store.begin_launch(new_launch(going_on, study._study_id))
    (recorded,) = [each for each in store.launches() if each.launch_id == launch]
    assert recorded.config["without_gpu"] is not begun_with_gpu


def test_a_study_begun_before_the_file_had_the_part_goes_on_without(
    plan_for: MakePlan, store: Store, machine: Callable[[bool], None]
) -> None:
    machine(False)
    open_study(plan_for(), store)
    going_on = plan_for(without_gpu=PART)
    assert going_on.space.training.epochs == 9
    open_study(going_on, store)  # It is not refused.


def test_the_first_lines_say_what_was_chosen(
    plan_for: MakePlan,
    store: Store,
    machine: Callable[[bool], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(False)
    plan = plan_for(without_gpu=PART)
    slots = Slots(cpus=2, gpus=0, nodes=1, concurrency=2, gpus_per_trial=0)
    progress = LineProgress(plan)
    progress.on_launch(opened(plan, store), slots, 0, [])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "without_gpu" in line]
    assert line.endswith(
        "its without_gpu holds, since trials get no GPU: training.epochs 4, baselines, "
        "budget.trials 5"
    )
    machine(True)
    other = plan_for(without_gpu=PART, study="other")
    assert str(other.form).endswith("left out, since trials get a GPU")
    assert plan_for(study="other").form is None


def test_a_mistake_in_every_form_waits_for_no_gpu(
    plan_for: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_for(without_gpu=PART)  # Writes the file.

    def refuse() -> list[str]:
        raise AssertionError("looked for a GPU")

    monkeypatch.setattr(plans, "gpu_names", refuse)
    with pytest.raises(SpaceError, match="did you mean 'epochs'"):
        main(["--space", str(tmp_path / "space.yaml"), "--set", "training.epoch=1"])


@pytest.mark.parametrize("without_gpu", [False, True])
def test_the_shipped_siamese_file_confirms_on_enough_seeds_to_show_a_difference(
    without_gpu: bool,
) -> None:
    space = load_space("space/siamese.yaml", without_gpu=without_gpu)
    n_configs = space.confirm.top + len(space.baseline_params())
    assert space.confirm.top
    assert space.confirm.seeds >= seeds_needed(n_configs)
    assert space.model.width == (16 if without_gpu else 128)
    # The report's setting is what the best is compared with.
    first = space.resolve(space.baseline_params()[0]).training
    assert (first.batch_size, first.learning_rate, first.weight_decay) == (50, 1e-3, 1e-3)
