"""Searches in simulated time decide what searches in real time decide, in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from search.launch.plan import Plan
from search.runs.protocol import Report
from search.simulate.cost import Way, measure
from search.simulate.cost_sheet import notes
from search.simulate.curves_file import Surrogate
from search.simulate.replay import Incumbent, Replay
from search.trials.ledger import Ledger
from space import Space, parse_space
from storage import Store
from storage.memory import MemoryStore

from ..conftest import Recorder, new_ledger, work
from ..made_curves import SPACE, a_run, closed_form_curves, made_curves

MakePlan = Callable[..., Plan]

FINITE = {
    "learning_rate": {"type": "categorical", "choices": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1]},
    "weight_decay": {"type": "float", "low": 0.0, "high": 0.02, "step": 0.001},
}
ASHA = {"name": "asha", "min_resource": 1, "reduction_factor": 2}


def searched(space: Space, **changes: Any) -> Space:
    """A space with some top-level keys replaced."""
    return parse_space({**space.model_dump(mode="json"), **changes}, "space")


def decisions(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    """All that was proposed, reported and decided."""
    return [
        (trial.params, trial.state, trial.values, trial.intermediate_values) for trial in trials
    ]


@pytest.mark.parametrize(("sampler", "replicates"), [("random", 1), ("tpe", 1), ("tpe", 2)])
def test_decisions_are_those_of_a_ledger_whose_runs_are_trained(
    plan_for: MakePlan, store: Store, recorder: Recorder, sampler: str, replicates: int
) -> None:
    plan = plan_for(
        parameters=FINITE,
        sampler={"name": sampler, "seed": 3},
        pruner=ASHA,
        replicates=replicates,
        budget={"trials": 24},
    )
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan, n_workers=1)
    memory = MemoryStore()
    replay = Replay(closed_form_curves(plan.space, n_seeds=replicates), n_workers=1)
    found = replay.run(plan.space, memory, recorded_seed=0, max_epochs=10_000)
    assert found.n_epochs == store.n_epochs(study._study_id)
    assert found.trials["COMPLETE"] + found.trials["PRUNED"] == 24
    assert min(found.trials.values()) > 2
    simulated = memory.optuna_storage.get_all_trials(0)
    assert decisions(simulated) == decisions(study.trials)
    assert found.incumbents[-1].value == study.best_value


@pytest.mark.parametrize("pruner", [ASHA, {"name": "hyperband"}, {"name": "median"}])
def test_memory_holds_what_a_database_would_hold(
    plan_for: MakePlan, store: Store, pruner: dict[str, Any]
) -> None:
    plan = plan_for(parameters=FINITE, sampler={"name": "tpe"}, pruner=pruner)
    curves = closed_form_curves(plan.space)
    memory = MemoryStore()
    found = [
        Replay(curves, n_workers=3).run(plan.space, each, recorded_seed=0, max_epochs=80)
        for each in (store, memory)
    ]
    assert found[0] == found[1]
    kept = optuna.load_study(study_name=plan.space.study, storage=store.optuna_storage)
    assert decisions(memory.optuna_storage.get_all_trials(0)) == decisions(kept.trials)
    ours, theirs = memory.runs(0, "search"), store.runs(kept._study_id, "search")
    assert len(ours) == len(theirs) > 9
    for one, other in zip(ours, theirs, strict=True):
        for field in ("state", "reason", "n_epochs", "best_epoch", "config", "train_seconds"):
            assert getattr(one, field) == getattr(other, field)
    epochs = memory.epochs(run.run_id for run in ours)
    assert list(epochs.values()) == list(store.epochs(run.run_id for run in theirs).values())


def test_reports_come_in_the_order_of_simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = made_curves(
        [
            [a_run(0.5, 0.5, 0.5, 0.5, seconds=1.0)],
            [a_run(0.4, 0.4, 0.4, 0.4, seconds=2.5)],
            [a_run(0.3, 0.3, 0.3, 0.3, seconds=1.0)],
        ]
    )
    heard: list[tuple[float | None, int]] = []
    report = Ledger.report

    def listening(self: Ledger, reports: Sequence[Report]) -> frozenset[int]:
        [each] = reports
        assert each.epoch is not None
        heard.append((each.epoch["val_error"], each.epoch.epoch))
        return report(self, reports)

    monkeypatch.setattr(Ledger, "report", listening)
    points = [dict(point.params) for point in curves.points]
    space = searched(curves.space, baselines=points, budget={"trials": 3})
    found = Replay(curves, n_workers=2).run(
        space, MemoryStore(), recorded_seed=0, max_epochs=10_000
    )
    # The first ends at 1, 2, 3, 4, the third takes its place and ends at 5, 6, 7, 8; the second
    # ends at 2.5, 5, 7.5, 10. At 5 the second goes first, since it was begun first.
    assert heard == [
        (0.5, 1),
        (0.5, 2),
        (0.4, 1),
        (0.5, 3),
        (0.5, 4),
        (0.4, 2),
        (0.3, 1),
        (0.3, 2),
        (0.3, 3),
        (0.4, 3),
        (0.3, 4),
        (0.4, 4),
    ]
    assert found.incumbents == (
        Incumbent(n_epochs=5, seconds=4.0, point=0, value=0.5),
        Incumbent(n_epochs=11, seconds=8.0, point=2, value=0.3),
    )
    assert (found.n_epochs, found.seconds, found.trials) == (12, 10.0, {"COMPLETE": 3})


def test_a_search_ends_with_its_epochs() -> None:
    curves = made_curves([[a_run(0.5, 0.4, 0.3, 0.2)], [a_run(0.5, 0.5, 0.5, 0.5)]])
    space = searched(curves.space, budget={"trials": 100})
    found = Replay(curves, n_workers=2).run(space, MemoryStore(), recorded_seed=0, max_epochs=10)
    assert found.n_epochs == 10
    assert found.trials == {"COMPLETE": 2}


def test_a_trial_is_judged_by_the_epoch_that_it_keeps_and_by_its_own_seed() -> None:
    curves = made_curves(
        [
            [a_run(0.5, 0.1, 0.3, 0.4), a_run(0.5, 0.5, 0.5, 0.5)],
            [a_run(0.2, 0.2, 0.2, 0.2), a_run(0.2, 0.2, 0.2, 0.2)],
        ]
    )
    points = [dict(point.params) for point in curves.points]
    space = searched(curves.space, baselines=points, budget={"trials": 2})
    for seed, values in ((0, [0.1]), (1, [0.5, 0.2])):
        found = Replay(curves, n_workers=1).run(
            space, MemoryStore(), recorded_seed=seed, max_epochs=100
        )
        assert [each.value for each in found.incumbents] == values
    assert curves.true_values().tolist() == pytest.approx([0.3, 0.2])


def test_a_curve_that_breaks_off_is_a_failed_trial() -> None:
    curves = made_curves([[a_run(0.5, 0.4)], [a_run(0.5, 0.5, 0.5, 0.5)]])
    points = [dict(point.params) for point in curves.points]
    space = searched(curves.space, baselines=points, budget={"trials": 2})
    memory = MemoryStore()
    found = Replay(curves, n_workers=1).run(space, memory, recorded_seed=0, max_epochs=100)
    assert found.trials == {"FAIL": 1, "COMPLETE": 1}
    assert found.n_epochs == 6
    assert memory.runs()[0].reason == "the loss is not finite in epoch 3"
    assert curves.true_values()[0] == float("inf")


def test_the_highest_is_the_best_where_that_is_the_objective() -> None:
    objective = {"metric": "val_error", "direction": "maximize"}
    curves = made_curves([[a_run(*[0.2] * 4)], [a_run(*[0.3] * 4)]], objective=objective)
    points = [dict(point.params) for point in curves.points]
    space = searched(curves.space, baselines=points, budget={"trials": 2})
    found = Replay(curves, n_workers=1).run(space, MemoryStore(), recorded_seed=0, max_epochs=100)
    assert [each.point for each in found.incumbents] == [0, 1]
    assert curves.true_values().argmin() == 1
    every = Way(sampler=None, pruner={"name": "none"})
    table = measure(curves, [every], n_seeds=1, n_workers=1, tolerance=0.01)
    assert (table.best, table.n_within, table.rows[0].behind) == (0.3, 1, 0.0)
    assert "the best point is worth 30.00 %" in notes(curves, table)[0]


def test_the_nearest_point_answers_on_each_parameters_own_scale() -> None:
    space = parse_space(
        {
            **SPACE,
            "parameters": {
                "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
                "batch_size": {"type": "int", "low": 10, "high": 110},
            },
        },
        "space",
    )

    points = [
        {"learning_rate": 1e-4, "batch_size": 10},
        {"learning_rate": 1e-2, "batch_size": 10},
        {"learning_rate": 1e-2, "batch_size": 110},
    ]
    nearest = Surrogate(space, points).nearest
    for index, point in enumerate(points):
        assert nearest(point) == index
    assert nearest({"learning_rate": 0.9e-3, "batch_size": 10}) == 0
    assert nearest({"learning_rate": 1.1e-3, "batch_size": 10}) == 1
    assert nearest({"learning_rate": 1e-2, "batch_size": 61}) == 2
    # Half a range of the learning rate is nearer than six tenths of the batch size's.
    assert nearest({"learning_rate": 1e-4, "batch_size": 70}) == 0


def test_choices_and_parameters_that_are_absent_count_in_full() -> None:
    space = parse_space(
        {
            **SPACE,
            "parameters": {
                "model": {"type": "categorical", "choices": ["siamese", "siamese-aux", "mlp"]},
                "aux_weight": {
                    "type": "float",
                    "low": 0.0,
                    "high": 0.8,
                    "when": {"parameter": "model", "in": ["siamese-aux"]},
                },
            },
            "trainable": "digit-pairs",
            "model": {"name": "siamese-aux"},
        },
        "space",
    )
    points = [
        {"model": "siamese-aux", "aux_weight": 0.8},
        {"model": "siamese"},
        {"model": "siamese-aux", "aux_weight": 0.0},
    ]
    nearest = Surrogate(space, points).nearest
    assert nearest({"model": "siamese-aux", "aux_weight": 0.3}) == 2
    assert nearest({"model": "siamese-aux", "aux_weight": 0.5}) == 0
    assert nearest({"model": "siamese"}) == 1
    # Neither its choice nor the other's weight is shared: the siamese network differs in one alone.
    assert nearest({"model": "mlp"}) == 1
