"""Closed-form searches: real searcher, ledger and store, trials that take microseconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.export.__main__ import main
from search.launch import study as launches
from search.launch.plan import Plan, known_study, make_plan
from search.launch.run import open_existing
from search.launch.study import Outcome
from search.runs.protocol import Report
from search.runs.provenance import Provenance
from search.runs.seeds import confirm_config
from search.runs.stopping import Stopping
from search.trials import study as studies
from search.trials.feasible import resolved
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from search.trials.study import OpenedStudy
from search.workers import own_ray
from search.workers.ray_session import Slots, ray_session
from search.workers.workplace import Workplace
from space import read_space_file
from storage import NewLaunch, Store
from storage.commands.checkpoints import checkpoint_directory
from storage.connect.engine import parse_url
from tests.records import begin_run, epoch, record_epoch
from trainables.contract.run_data import RunData
from trainables.worker.assigned import AssignedRun

from .here import Here, train_here

PROVENANCE = Provenance(
    git_commit=None, git_dirty=None, versions={}, hardware={}, host="elsewhere", pid=1
)

SPACE: dict[str, Any] = {
    "study": "closed",
    "trainable": "closed-form",
    "training": {"epochs": 9},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    },
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 12},
}
ASHA = {"name": "asha", "min_resource": 1, "reduction_factor": 3}


class Recorder:
    """An observer that remembers the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.launches: list[tuple[int, list[str]]] = []

    def on_launch(self, study: Any, slots: Any, n_reclaimed: int, changes: list[str]) -> None:
        self.launches.append((n_reclaimed, changes))

    @property
    def n_reports(self) -> int:
        return sum(event == "report" for event, _ in self.events)

    def on_trial_start(self, trial: OpenTrial) -> None:
        self.events.append(("start", trial.number))

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        self.events.append(("report", trial.number))

    def on_trial_end(self, trial: OpenTrial) -> None:
        self.events.append((trial.state.name, trial.number))

    def on_tick(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def plan_of(path: Path, url: str) -> Plan:
    """The plan of a launch with a space file on a store, as the command makes it."""
    file = read_space_file(path)
    store = open_existing(parse_url(url), look=True)
    try:
        record = known_study(store, file.forms()[0].study)
    finally:
        if store is not None:
            store.close()
    place = Workplace(checkpoints=checkpoint_directory(parse_url(url)))
    return make_plan(file, record, place, command="c", provenance=PROVENANCE)


@pytest.fixture
def plan_for(tmp_path: Path) -> Callable[..., Plan]:
    """Makes a plan from the closed-form space with some top-level keys replaced.

    One with a model is of pairs of digits.
    """

    def make(**changes: Any) -> Plan:
        path = tmp_path / "space.yaml"
        of_pairs = {"trainable": "digit-pairs"} if "model" in changes else {}
        path.write_text(json.dumps({**SPACE, **of_pairs, **changes}))
        return plan_of(path, str(tmp_path / "s.db"))

    return make


@pytest.fixture
def command(store: Store, tmp_path: Path) -> Callable[..., Path]:
    """Runs the export's command on the store and returns the file that it wrote."""

    def run(*arguments: str, study: str = "closed") -> Path:
        output = tmp_path / "best" / "exported.yaml"
        options = ["--study", study, "--storage", str(store.url.database), "--output", str(output)]
        assert main([*options, *arguments]) == 0
        return output

    return run


@pytest.fixture(autouse=True)
def _no_ray_ahead(no_ray_ahead: None) -> None:
    """For each of these tests."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_ray_ahead: None) -> Here:
    """Lets launches train in this process, without Ray."""
    return train_here(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def ray_scratch() -> Iterator[Path]:
    """A Ray of our own, started once for all tests of this process; Tune's directory.

    It has its agents: to launches that join it, it is a cluster, whose actors' environments these
    make.
    """
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own_ray, "_bare_raylet", nullcontext)
            path = stack.enter_context(ray_session(None, verbose=False))
        yield path


@pytest.fixture
def one_ray(ray_scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets launches share one Ray: those in this process, and those that join it; Tune's directory.

    Ray lets processes at a loopback address meet only where it is told that there are no others.
    """
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setattr("ray.init", lambda **_: None)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    return ray_scratch


def opened(plan: Plan, store: Store) -> OpenedStudy:
    """A plan's study, opened or made."""
    return studies.open_study(store, plan.space, plan.place.data)


def open_study(plan: Plan, store: Store) -> optuna.Study:
    """A plan's study, opened or made, as Optuna has it."""
    return opened(plan, store).study


def run_search(
    plan: Plan,
    store: Store,
    observer: Any,
    *,
    slots: Slots,
    scratch: Path,
    stopping: Stopping | None = None,
) -> Outcome:
    """Search as a launch does on the Ray that is up."""
    place = plan.place.opened(slots, scratch)
    return launches.search(plan, opened(plan, store), observer, place, stopping or Stopping())


def new_launch(plan: Plan, study_id: int) -> NewLaunch:
    """The record of a launch of the plan."""
    config = plan.space.model_dump(mode="json")
    return plan.provenance.new_launch(
        study_id, command=plan.command, config=config, data=plan.place.data
    )


def new_ledger(plan: Plan, store: Store, recorder: Any) -> tuple[Ledger, optuna.Study]:
    """A plan's study, opened or made, and the ledger of a further launch of it."""
    goes_on = opened(plan, store)
    launch_id = store.begin_launch(new_launch(plan, goes_on.id))
    return Ledger(goes_on, launch_id, recorder), goes_on.study


def work(ledger: Ledger, plan: Plan, *, n_workers: int = 2, n_steps: int | None = None) -> None:
    """Be the workers: train what the ledger assigns, a step of each in turn.

    Args:
        ledger: The ledger.
        plan: Its plan, for the checkpoints' paths.
        n_workers: Runs at once.
        n_steps: Stop after so many steps of each worker, or go on until the ledger is done.
    """
    held: list[tuple[bool, list[tuple[int, AssignedRun]]]] = []
    done = 0
    while n_steps is None or done < n_steps:
        while len(held) < n_workers:
            assignment = ledger.next_assignment()
            if assignment is None:
                break
            runs = []
            for run, config in assignment.runs:
                message = {
                    "run_id": run.run_id,
                    "config": config.model_dump(mode="json"),
                    "checkpoint": str(plan.place.files(run.uid).checkpoint),
                    "n_epochs": run.n_epochs,
                    "evaluate": assignment.evaluate,
                    "together": False,
                }
                runs.append((run.run_id, AssignedRun(message, RunData())))
            held.append((assignment.in_turn, runs))
        if not held:
            return
        for in_turn, runs in held:
            for run_id, run in runs[: 1 if in_turn else None]:
                if not ledger.report([Report.from_wire(run.step())]):
                    runs.remove((run_id, run))
            runs[:] = [(run_id, run) for run_id, run in runs if ledger.is_open(run_id)]
        held = [(in_turn, runs) for in_turn, runs in held if runs]
        done += 1


def search(plan: Plan, store: Store, **options: Any) -> optuna.Study:
    """Run a search in this process."""
    ledger, found = new_ledger(plan, store, Recorder())
    work(ledger, plan, **options)
    ledger.interrupt("the test ends")
    return found


def best_first(study: optuna.Study) -> list[int]:
    """The numbers of the complete trials, the best first."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    return [trial.number for trial in sorted(complete, key=lambda t: (t.values[0], t.number))]


def reports_in_our_tables(store: Store, study: optuna.Study) -> dict[int, list[int]]:
    """Trial's number -> the epochs that were reported, in order."""
    runs = {run.trial_id: run.run_id for run in store.runs(study._study_id)}
    epochs = store.epochs(runs.values())
    return {
        trial.number: [epoch.epoch for epoch in epochs[runs[trial._trial_id]]]
        for trial in study.trials
    }


def confirm(
    plan: Plan, store: Store, study: optuna.Study, number: int, errors: list[float | None]
) -> None:
    """Pretend that a trial was confirmed: an error for each fresh seed, None for a failed run."""
    launch_id = store.begin_launch(new_launch(plan, study._study_id))
    trial = study.trials[number]
    for replicate, error in enumerate(errors):
        config = confirm_config(resolved(plan.space, trial.params), replicate)
        run = begin_run(
            store,
            launch_id,
            trial._trial_id,
            study_id=study._study_id,
            purpose="confirm",
            replicate=replicate,
            of=config,
        )
        if error is None:
            store.end_run(run.run_id, "failed", "the loss is not finite")
            continue
        # The state kept is that of epoch 1: the same error and the lower loss.
        for number, val_loss in ((1, 0.1), (2, 0.2)):
            record_epoch(store, run, epoch(number, val_error=error, val_loss=val_loss))
        store.end_run(run.run_id, "complete")
