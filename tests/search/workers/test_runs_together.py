"""A search whose runs are trained as one model, stopped or killed: as if each was alone.

Whatever the training seed: the network is smooth, so rounding stays as small as it is, and its
pruner judges each trial alone, so what is pruned does not depend on how many run at once.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.launch.study import run_study
from storage import Store, open_store
from storage.admin.check import check_store
from storage.tables import schema

from ...harness.searches import curves, runs_of_steps
from ..conftest import Recorder, opened
from ..here import Here

pytestmark = pytest.mark.slow

TASK = Path(__file__).parents[2] / "trainables" / "own_wave.py"
N_TOGETHER = 4
RUNG, EPOCHS = 12, 22
GOOD, BAD = (0.006, 0.01, 0.015, 0.02), (1e-6, 2e-6, 3e-6, 4e-6)
"""Learning rates with validation errors from the rung on of 0.1 or less, and of 0.69 or more."""
RATES = (*GOOD[:2], *BAD[:2], *GOOD[2:], *BAD[2:])
CLOSE = 1e-4
"""By which share a number may differ. Over 16 training seeds rounding made 5e-6 at most; the rate
of the trial before or after makes 6e-3 at least."""
SPACE: dict[str, Any] = {
    "trainable": f"{TASK}:Wave",
    "training": {"epochs": EPOCHS, "batch_size": 8, "optimizer": "sgd"},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-7, "high": 1e-1, "log": True}},
    "sampler": {"name": "random", "seed": 0},
    "pruner": {"name": "threshold", "upper": 0.4, "n_warmup_steps": RUNG},
    "baselines": [{"learning_rate": rate} for rate in RATES],
    "prune_baselines": True,
    "budget": {"trials": len(RATES)},
    "concurrency": 1,
}


@pytest.fixture(autouse=True)
def _every_epoch_has_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.worker.assigned.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("trainables.worker.assigned.CHECKPOINT_SHARE", float("inf"))


def test_runs_trained_together_and_stopped_or_killed_are_those_trained_alone(
    plan_for: Callable[..., Plan], store: Store, here: Here, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"

    def plan(study: str, n_together: int) -> Plan:
        resources = {"gpus": 0, "runs_per_trainable": n_together}
        return plan_for(**{**SPACE, "study": study, "resources": resources})

    def trials(study: str) -> list[optuna.trial.FrozenTrial]:
        return optuna.load_study(study_name=study, storage=store.optuna_storage).get_trials()

    def is_after_the_rung() -> bool:
        """Whether runs are pruned and others have taken their places.

        What is in the files then is what SIGKILL would leave.
        """
        is_after = any(run.n_epochs > RUNG for run in store.runs(store.study_id("together")))
        if is_after and not killed.exists():
            shutil.copytree(Path(store.url.database or "").parent, killed)
            shutil.copytree(together.place.checkpoints, killed / "checkpoints")
        return is_after

    def goes_on(plan: Plan, store: Store) -> None:
        """What was trained is kept, and the rest is trained as if each run was alone."""
        before = curves(store, "together")
        n_before = here.n_epochs
        assert sum(map(len, before.values())) > N_TOGETHER * RUNG
        assert run_study(plan, opened(plan, store), Recorder()).status == "done"
        assert check_store(store).findings == []
        assert not list(plan.place.checkpoints.rglob("*.pt*"))
        found = curves(store, "together")
        assert found.keys() == expected.keys()
        for params, curve in found.items():
            np.testing.assert_allclose(curve, expected[params], rtol=CLOSE, err_msg=params)
            assert curve[: len(before.get(params, ()))] == before.get(params, ())
        n_recorded = sum(map(len, found.values())) - sum(map(len, before.values()))
        assert here.n_epochs - n_before == n_recorded

    alone = plan("alone", 1)
    assert run_study(alone, opened(alone, store), Recorder()).status == "done"
    together = plan("together", N_TOGETHER)
    stopped = run_study(
        together, opened(together, store), Recorder(), stop_requested=is_after_the_rung
    )
    assert stopped.status == "interrupted"
    assert stopped.n_interrupted > 1
    expected = curves(store, "alone")
    goes_on(together, store)
    place = replace(together.place, checkpoints=killed / "checkpoints")
    with closing(open_store(str(killed / "s.db"))) as left:
        # The killed launch's process is no more: its number is above Linux's highest.
        gone = sa.update(schema.launches).values(host=platform.node(), pid=2**22 + 1)
        with left.engine.begin() as connection:
            connection.execute(gone.where(schema.launches.c.status == "running"))
        goes_on(replace(together, place=place), left)

    ones, twos = trials("alone"), trials("together")
    assert [trial.params for trial in twos] == [{"learning_rate": rate} for rate in RATES]
    for one, two in zip(ones, twos, strict=True):
        is_good = two.params["learning_rate"] in GOOD
        assert two.state == (TrialState.COMPLETE if is_good else TrialState.PRUNED)
        assert list(two.intermediate_values) == list(range(1, (EPOCHS if is_good else RUNG) + 1))
        assert (two.state, two.params) == (one.state, one.params)
        assert list(two.intermediate_values) == list(one.intermediate_values)
        assert two.value == pytest.approx(one.value, rel=CLOSE)

    steps = runs_of_steps(store, "together")
    assert max(steps) == N_TOGETHER
    assert steps.count(N_TOGETHER) >= RUNG
    assert set(runs_of_steps(store, "alone")) == {1}
