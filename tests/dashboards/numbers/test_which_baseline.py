"""Of several baselines the same one counts wherever a baseline is named."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from dashboards.figures.study.panels import study_panels
from dashboards.numbers.study.snapshot import take_snapshot
from dashboards.numbers.study.view import read_study
from search.export.selection import after_baseline, choose
from storage import Store
from storage.summaries.baselines import in_order
from storage.summaries.study import glance_at_studies
from tests.dashboards.made.bulk_rows import MadeTrial
from tests.dashboards.made.bulk_study import _confirm, begin_study, space_config, store_trials
from tests.dashboards.made.bulk_trials import BASELINE_PARAMS


@pytest.mark.parametrize(
    ("states", "first"),
    [
        (["COMPLETE", "COMPLETE"], 0),
        (["PRUNED", "COMPLETE"], 1),
        (["FAIL", "PRUNED"], 1),
        (["WAITING", "RUNNING"], 0),
    ],
)
def test_the_first_that_is_complete_counts(states: list[str], first: int) -> None:
    assert in_order(dict(enumerate(states)))[0] == first


def test_everything_names_the_same_baseline(store: Store) -> None:
    ends = [("PRUNED", 0.5), ("COMPLETE", 0.4), ("COMPLETE", 0.2), ("COMPLETE", 0.3)]
    trials = [
        MadeTrial(
            params={**BASELINE_PARAMS, "aux_weight": number / 10},
            curves=[[0.6, end]],
            state=state,
            is_baseline=number < 3,
        )
        for number, (state, end) in enumerate(ends)
    ]
    study_id, launches = begin_study(store, "made", space_config())
    store_trials(store, study_id, trials, launches)
    _confirm(store, study_id, trials, launches[-1], np.random.default_rng(0))
    view = read_study(store, "made")
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    shown = take_snapshot(store, study_id, view.metrics).baseline
    assert view.baseline is not None
    assert shown is not None
    assert view.confirmation is not None
    assert {each.trial_number for each in view.confirmation.trials} == {0, 1, 2, 3}
    numbers = (view.baseline.number, shown.number, view.confirmation.baseline)
    assert numbers == (1, 1, 1)
    assert after_baseline(store, study, choose(store, study))[0].trial.number == 1
    assert [each.baseline for each in glance_at_studies(store)] == [0.4]
    (curves,) = [panel.figures[0] for panel in study_panels(view) if panel.key == "learning-curves"]
    named = {trace.name for trace in curves.data if trace.name.startswith("baseline")}
    assert named == {"baseline (trial 1)"}
