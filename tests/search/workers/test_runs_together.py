"""A real search whose runs are trained as one model, killed and gone on with: as if each was alone.

Its pruner has a single rung, and its trials come in an order in which each is the best so far there
or far behind, so that what is pruned depends neither on rounding nor on how many run at once.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from storage import Store, open_store
from storage.admin.check import check_store

from ...harness.launches import Launch
from ...harness.searches import are_alike, curves, runs_of_steps

pytestmark = pytest.mark.slow

N_TOGETHER = 4
RUNG, EPOCHS = 12, 22
GOOD, BAD = (1e-6, 3e-6, 1e-5, 3e-5), (1e-9, 3e-8, 1e-7, 3e-7)
"""Learning rates with validation errors at the rung from 0.51 down to 0.22, and above 0.56."""
RATES = (*GOOD[:2], *BAD[:2], *GOOD[2:], *BAD[2:])
SPACE: dict[str, Any] = {
    "study": "any",
    "model": {"name": "mlp", "width": 64},
    "data": {"source": "digits", "n_train_pairs": 400, "validation_fraction": 0.25},
    "training": {"epochs": EPOCHS, "batch_size": 10, "training_seed": 1005},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-9, "high": 1e-4, "log": True}},
    "sampler": {"name": "random", "seed": 0},
    "pruner": {"name": "asha", "min_resource": RUNG, "reduction_factor": 2},
    "baselines": [{"learning_rate": rate} for rate in RATES],
    "prune_baselines": True,
    "budget": {"trials": len(RATES)},
    "concurrency": 1,
    "resources": {"gpus": 0},
}


class Searches:
    """Launches of studies that share a store."""

    def __init__(self, directory: Path) -> None:
        self.checkpoints = directory / "checkpoints"
        self._url = f"sqlite:///{directory / 's.db'}"
        self._space = directory / "space.json"
        self._space.write_text(json.dumps(SPACE))
        self._temporary = directory / "t"
        self._temporary.mkdir()
        self.store: Store = open_store(self._url)
        self._launches: list[Launch] = []

    def launch(self, study: str, n_together: int) -> Launch:
        options = ["--study", study, "--checkpoints", str(self.checkpoints)]
        together = ["--set", f"resources.runs_per_trainable={n_together}"]
        command = ["--space", str(self._space), *options, *together]
        launch = Launch(command, url=self._url, temporary=self._temporary)
        self._launches.append(launch)
        return launch

    def trials(self, study: str) -> list[optuna.trial.FrozenTrial]:
        found = optuna.load_study(study_name=study, storage=self.store.optuna_storage)
        return found.get_trials()

    def close(self) -> None:
        for launch in self._launches:
            launch.kill_everything()
        self.store.close()


@pytest.fixture
def searches() -> Iterator[Searches]:
    # Ray's sockets lie beneath, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="together-", dir="/tmp") as directory:
        made = Searches(Path(directory))
        yield made
        made.close()


def finish(launch: Launch) -> None:
    status, said = launch.end()
    assert status == 0, said


def kill_after_the_rung(searches: Searches, launch: Launch) -> None:
    """Wait until runs are pruned and others have taken their places, and kill every process."""

    def is_time() -> bool:
        if not any((searches.checkpoints / "together").glob("*.pt")):
            return False
        runs = searches.store.runs(searches.store.study_id("together"))
        return any(run.n_epochs > RUNG for run in runs)

    while not is_time():
        assert launch.runs, launch.end()
        launch.wait(0.02)
    launch.kill_everything()
    launch.end()


def test_runs_trained_together_and_killed_are_those_trained_alone(searches: Searches) -> None:
    store = searches.store
    undisturbed = searches.launch("alone", 1)
    kill_after_the_rung(searches, searches.launch("together", N_TOGETHER))
    open_trials = [t for t in searches.trials("together") if t.state == TrialState.RUNNING]
    assert len(open_trials) > 1
    before = curves(store, "together")
    finish(searches.launch("together", N_TOGETHER))
    finish(undisturbed)

    assert check_store(store).findings == []
    assert not list(searches.checkpoints.rglob("*.pt*"))
    together, alone = (searches.trials(study) for study in ("together", "alone"))
    assert [trial.params for trial in together] == [{"learning_rate": rate} for rate in RATES]
    for one, two in zip(alone, together, strict=True):
        is_good = two.params["learning_rate"] in GOOD
        assert two.state == (TrialState.COMPLETE if is_good else TrialState.PRUNED)
        assert list(two.intermediate_values) == list(range(1, (EPOCHS if is_good else RUNG) + 1))
        assert (two.state, two.params) == (one.state, one.params)
        assert list(two.intermediate_values) == list(one.intermediate_values)
        assert two.value == pytest.approx(one.value, abs=0.011)  # One of 100 pairs may tip.

    found, expected = curves(store, "together"), curves(store, "alone")
    assert found.keys() == expected.keys()
    for params, curve in found.items():
        assert are_alike(curve, expected[params], exact=False), params
        # What was reported before the kill stays as it was.
        assert curve[: len(before.get(params, ()))] == before.get(params, ())

    steps = runs_of_steps(store, "together")
    assert max(steps) == N_TOGETHER
    assert steps.count(N_TOGETHER) >= RUNG
    assert set(runs_of_steps(store, "alone")) == {1}
