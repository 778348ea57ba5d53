"""A study's numbers against those worked out by hand, and against what Optuna reads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from dashboards.numbers.study.importances import importances
from dashboards.numbers.study.progress import best_so_far, cost
from dashboards.numbers.study.surface import surface
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView, read_study
from space.errors import StudyNotFoundError
from space.metrics import Metric
from storage import Store, open_store
from storage.summaries.best import pareto_front
from tests.dashboards.made.bulk_rows import HOSTILE, MadeTrial
from tests.dashboards.made.bulk_study import begin_study, space_config, store_trials
from tests.dashboards.made.shelf import Shelf

LOW, HIGH = Metric(name="error", words="error"), Metric(name="error", words="error", maximize=True)
PARAMS = {
    "learning_rate": 1e-3,
    "learning_rate_decay": 0.9,
    "weight_decay": 1e-4,
    "aux_weight": 0.5,
}
TRIALS = [
    MadeTrial(params=PARAMS, curves=[[0.5, 0.4, 0.45]], is_baseline=True),
    MadeTrial(params=PARAMS, curves=[[0.6]], state="PRUNED"),
    MadeTrial(params=PARAMS, curves=[[0.4, 0.3]], state="FAIL", reason="the worker was lost"),
    MadeTrial(params=PARAMS, curves=[[0.4, 0.2, 0.3]], resumed=True),
    MadeTrial(params=PARAMS, curves=[[0.3, 0.3, 0.25]]),
    MadeTrial(params=PARAMS, curves=[[0.35, 0.34]], state="RUNNING"),
    MadeTrial(params=PARAMS, curves=[], state="WAITING"),
]


def trial(number: int, values: tuple[float, ...] = (), **changes: object) -> StudyTrial:
    """A trial of nothing but what a test is about."""
    known: dict[str, object] = {
        "number": number,
        "trial_id": 100 + number,
        "state": "COMPLETE",
        "values": values,
        "standard_errors": (),
        "params": {},
        "is_baseline": False,
        "was_queued": False,
        "warm_start": None,
        "parent": None,
        "reason": None,
        "traceback": None,
        "n_epochs": 0,
        "longest": 0,
        "seconds": 0.0,
        "reports": {},
    }
    return StudyTrial(**{**known, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyView]:
    """The study of `TRIALS`, of three epochs with a rung after the first, on one worker."""
    store = open_store(str(tmp_path_factory.mktemp("small") / "s.db"))
    config = space_config(
        training={"epochs": 3}, pruner={"name": "asha", "min_resource": 1, "reduction_factor": 3}
    )
    study_id, launches = begin_study(store, "small", config, running=True)
    store_trials(store, study_id, TRIALS, launches, n_workers=1)
    yield read_study(store, "small")
    store.close()


def test_trials_are_as_they_were_stored(small: StudyView) -> None:
    assert [each.state for each in small.trials] == [each.state for each in TRIALS]
    assert [each.values for each in small.trials] == [
        (0.4,),
        (0.6,),
        (0.3,),
        (0.2,),
        (0.25,),
        (0.34,),
        (),
    ]
    assert [each.n_epochs for each in small.trials] == [3, 1, 2, 3, 3, 2, 0]
    assert small.trials[0].seconds == pytest.approx(1.0 + 1.01 + 1.02)
    assert [each.is_baseline for each in small.trials] == [True] + [False] * 6
    assert small.trials[2].reason == "the worker was lost"
    assert small.trials[1].params == PARAMS


def test_reports_are_of_the_state_kept(small: StudyView) -> None:
    steps = [list(each.reports) for each in small.trials]
    assert steps == [[1, 2, 3], [1], [1, 2], [1, 2, 3], [1, 2, 3], [1, 2], []]
    assert list(small.trials[0].reports.values()) == [0.5, 0.4, 0.4]
    assert small.step_name == "epoch"


def test_what_a_study_says_of_its_search(small: StudyView) -> None:
    assert small.rungs == (1,)
    assert small.full_epochs == 3
    assert small.best_so_far.number_I.tolist() == [0, 3]
    assert small.best_so_far.value_I.tolist() == [0.4, 0.2]
    assert small.best is not None
    assert small.best.number == 3
    assert small.baseline is not None
    assert small.baseline.number == 0
    assert small.counts == {"COMPLETE": 3, "PRUNED": 1, "FAIL": 1, "RUNNING": 1, "WAITING": 1}
    assert small.is_running
    assert small.data_source == "digits"
    assert [launch.status for launch in small.launches] == ["time limit", "running"]


def test_pruning_saves_what_the_pruned_would_have_trained(small: StudyView) -> None:
    assert small.cost.epochs_T.tolist() == [3, 4, 6, 9, 12, 14, 14]
    assert small.cost.saved_epochs_T.tolist() == [0, 2, 2, 2, 2, 2, 2]
    # The pruned trial took a second for its one epoch; it would have taken two for two more.
    assert small.cost.saved_seconds_T[-1] == pytest.approx(2.0)
    assert small.cost.seconds_T[-1] == pytest.approx(sum(t.seconds for t in small.trials))


def test_a_resumed_trial_has_a_segment_a_launch(small: StudyView) -> None:
    first, second = [
        segment for segment in small.timeline if segment.trial_id == small.trials[3].trial_id
    ]
    assert (first.n_epochs, second.n_epochs) == (1, 2)
    assert first.worker is None
    assert second.worker == "host 0"
    assert second.launch_id == first.launch_id + 1
    assert first.started_at < first.ended_at <= second.ended_at
    assert len(small.timeline) == 7
    assert list(small.timeline) == sorted(small.timeline, key=lambda each: each.started_at)


def test_the_same_trials_as_optuna_reads(shelf: Shelf) -> None:
    how = {"n_trials": 60, "running": True, "hostile": True}
    found, storage = shelf.study(**how), shelf.store(**how).optuna_storage
    known = optuna.load_study(study_name=HOSTILE, storage=storage).trials
    assert len(found.trials) == len(known) == 62
    for ours, theirs in zip(found.trials, known, strict=True):
        assert (ours.number, ours.state) == (theirs.number, theirs.state.name)
        assert ours.params == theirs.params
        if theirs.values is not None:
            assert list(ours.values) == theirs.values
        assert ours.reports == theirs.intermediate_values


def test_a_report_that_is_not_finite_is_no_value(store: Store) -> None:
    study = optuna.create_study(study_name="odd", storage=store.optuna_storage)
    asked = study.ask({"x": FloatDistribution(0, 1)})
    asked.report(math.inf, 1)
    asked.report(math.nan, 2)
    study.tell(asked, state=optuna.trial.TrialState.FAIL)
    found = read_study(store, "odd")
    assert found.trials[0].values == ()
    assert not any(map(math.isfinite, found.trials[0].reports.values()))


def test_a_study_of_another_tool(store: Store) -> None:
    study = optuna.create_study(
        study_name="theirs", storage=store.optuna_storage, direction="maximize"
    )
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 1, 3), n_trials=12)
    found = read_study(store, "theirs")
    assert found.metrics == (Metric(name="objective", words="objective", maximize=True),)
    assert found.best is not None
    assert found.best.number == study.best_trial.number
    assert found.space is None
    assert found.timeline == ()
    assert found.importances[0].shares.keys() == {"x", "n"}
    assert sum(found.importances[0].shares.values()) == pytest.approx(1)


def test_an_empty_study(shelf: Shelf) -> None:
    found = shelf.study(n_trials=0)
    assert found.trials == ()
    assert found.best is None
    assert found.baseline is None
    assert not len(found.cost.epochs_T)
    assert not found.is_running


def test_a_study_that_is_not_there_suggests_one_that_is(shelf: Shelf) -> None:
    with pytest.raises(StudyNotFoundError, match="made"):
        read_study(shelf.store(n_trials=1), "mode")


def test_confirmed_studies_and_grids_are_read_too(shelf: Shelf) -> None:
    found = shelf.study(n_trials=40, confirmed=True)
    assert found.confirmation is not None
    assert found.confirmation.baseline == 0
    assert found.confirm_epochs == 25 * 5 * len(found.confirmation.trials)
    assert found.grid is None
    grid = shelf.study(grid=3)
    assert grid.replicates == 3
    assert grid.grid is not None
    assert [len(curve.points) for curve in grid.grid.curves] == [10, 10]
    assert grid.trials[0].n_epochs == 75
    assert len(grid.trials[0].standard_errors) == 1


def test_best_so_far_follows_the_direction() -> None:
    trials = [
        trial(0, (0.3,)),
        trial(1, (0.1,), state="PRUNED"),
        trial(2, (0.5,)),
        trial(3, (0.5,)),
        trial(4, (0.2,)),
    ]
    assert best_so_far(trials, LOW).number_I.tolist() == [0, 4]
    assert best_so_far(trials, HIGH).number_I.tolist() == [0, 2]
    assert not len(best_so_far([], LOW).number_I)


def test_the_front_holds_what_nothing_dominates() -> None:
    trials = [
        trial(0, (1.0, 5.0)),
        trial(1, (2.0, 4.0)),
        trial(2, (2.0, 4.0)),
        trial(3, (2.0, 4.5)),
        trial(4, (3.0, 1.0)),
        trial(5, (0.0, 0.0), state="PRUNED"),
        trial(6, (1.0, 6.0)),
    ]

    def front(*metrics: Metric) -> list[int]:
        return [each.number for each in pareto_front(trials, metrics)]

    assert front(LOW, LOW) == [0, 1, 2, 4]
    assert front(LOW, HIGH) == [6]
    assert (front(LOW), front(HIGH)) == ([0], [4])
    assert pareto_front(trials[:1], (HIGH, HIGH)) == trials[:1]
    assert pareto_front([], (LOW, LOW)) == []


@pytest.mark.parametrize("maximize", [(False, False), (True, False)])
def test_the_front_is_optunas(maximize: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(0)
    values = [tuple(map(float, rng.integers(0, 12, 2))) for _ in range(80)]
    study = optuna.create_study(directions=["maximize" if m else "minimize" for m in maximize])
    study.add_trials([optuna.trial.create_trial(values=list(each)) for each in values])
    ours = pareto_front(
        [trial(number, each) for number, each in enumerate(values)],
        [(LOW, HIGH)[m] for m in maximize],
    )
    assert {each.number for each in ours} == {each.number for each in study.best_trials}


def test_a_trial_that_trained_nothing_costs_nothing() -> None:
    found = cost([trial(0, state="PRUNED"), trial(1, n_epochs=9, seconds=3.0)], 5)
    assert found.saved_epochs_T.tolist() == [5, 5]
    assert found.saved_seconds_T.tolist() == [0.0, 0.0]
    assert found.seconds_T.tolist() == [0.0, 3.0]


def test_importances_name_the_parameter_that_decides() -> None:
    rng = np.random.default_rng(0)
    distributions = {
        "deciding": FloatDistribution(0, 1),
        "idle": FloatDistribution(0, 1),
        "fixed": FloatDistribution(0, 1),
        "kind": CategoricalDistribution(["a", "b"]),
    }
    params = [
        {"deciding": x, "idle": y, "fixed": 0.5, "kind": "ab"[round(y)]}
        for x, y in rng.random((60, 2))
    ]
    trials = [trial(n, (each["deciding"],), params=each) for n, each in enumerate(params)]
    (found,) = importances(trials, distributions, [LOW])
    assert next(iter(found.shares)) == "deciding"
    assert found.shares.keys() == {"deciding", "idle", "kind"}
    assert sum(found.shares.values()) == pytest.approx(1)
    assert (found.n_trials, found.n_top) == (60, 6)
    assert importances(trials[:9], distributions, [LOW]) == ()
    alike = [trial(n, (0.5,), params=each) for n, each in enumerate(params)]
    assert importances(alike, distributions, [LOW]) == ()
    # A parameter that only some trials have is not assessed, a trial that lacks one not counted.
    odd = [*trials[:59], trial(59, (0.5,), params={"sometimes": 0.1})]
    rare = {**distributions, "sometimes": FloatDistribution(0, 1)}
    (usual,) = importances(odd, rare, [LOW])
    assert usual.shares.keys() == found.shares.keys()
    assert usual.n_trials == 59
    # A range that was narrowed later leaves out the trials beyond it.
    narrowed = {**distributions, "deciding": FloatDistribution(0, 0.5)}
    (within,) = importances(trials, narrowed, [LOW])
    assert within.n_trials == sum(each["deciding"] <= 0.5 for each in params)


def test_a_surface_follows_its_trials_and_ends_where_they_do() -> None:
    corners = [(x, y) for x in (1e-3, 1e-2) for y in (0.8, 1.0)]
    trials = [
        trial(n, (10 * y + math.log10(x),), params={"x": x, "y": y})
        for n, (x, y) in enumerate([*corners, corners[0]])
    ]
    found = surface(trials, "x", "y", log_x=True, log_y=False, n=21)
    assert found is not None
    assert found.x_G[[0, -1]] == pytest.approx([1e-3, 1e-2])
    assert found.x_G[10] == pytest.approx(10**-2.5)
    # At a corner its own trial outweighs the others, at the middle none is near.
    assert found.value_GG[0, 0] == pytest.approx(8 - 3, abs=1e-3)
    assert found.value_GG[-1, 0] == pytest.approx(10 - 3, abs=1e-3)
    assert np.isnan(found.value_GG[10, 10])
    assert len(found.trials_N) == 5
    assert surface(trials[:4], "x", "y", log_x=True, log_y=False) is None
    assert surface([trials[0]] * 5, "x", "y", log_x=True, log_y=False) is None
