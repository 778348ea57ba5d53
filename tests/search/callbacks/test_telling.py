"""What callbacks are told is what the store has, once, whatever happens to launches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from search.callbacks.telling import Teller
from search.launch.plan import Plan
from search.runs.lease import reclaim_stale
from search.runs.protocol import Report
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from storage import Store
from trainables.worker import assigned

from ..conftest import ASHA, Recorder, confirm, new_ledger, work
from .conftest import Listener, Tell

MakePlan = Callable[..., Plan]
ALL = list(range(1, 10))


class Early(Recorder):
    """Has a callback told after the fourth report, and not again."""

    tell: Teller

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        super().on_trial_report(trial, report)
        if self.n_reports == 4:
            self.tell.look()


def killed(ledger: Ledger, store: Store) -> None:
    """What is left of a launch that was killed, and seen to be dead."""
    store.end_launch(ledger._launch_id, "died")


def going_on(plan: Plan, store: Store, recorder: Recorder) -> Ledger:
    """A further launch, which has put right what dead ones left."""
    ledger, study = new_ledger(plan, store, recorder)
    reclaim_stale(study, store, launch_id=ledger._launch_id)
    return ledger


def test_every_run_is_told_as_it_goes_and_once(
    plan_for: MakePlan, store: Store, recorder: Recorder, teller: Tell
) -> None:
    plan = plan_for(pruner={**ASHA, "min_resource": 3}, budget={"trials": 9})
    ledger, study = new_ledger(plan, store, recorder)
    listener = Listener()
    tell = teller(ledger, listener)
    work(ledger, plan, n_steps=2)
    tell.look()
    assert listener.begun == ["trial 0", "trial 1"]
    assert listener.told == {"trial 0": [1, 2], "trial 1": [1, 2]}
    assert not listener.ended
    tell.look()
    ledger.interrupt("test")
    killed(ledger, store)
    ledger = going_on(plan, store, recorder)
    tell = teller(ledger, listener)
    work(ledger, plan)
    tell.look()
    tell.look()
    assert (tell.n_left, len(listener.told)) == (0, 9)
    for trial in study.trials:
        name = f"trial {trial.number}"
        ended = listener.ended[name]
        assert listener.told[name] == list(trial.intermediate_values)
        assert (ended.state, ended.trial) == (trial.state.name, trial.number)
        assert ended.params == trial.params
        assert trial.params["learning_rate"] in ended.config.values()
        assert ended.kept["val_error"] == min(trial.intermediate_values.values())
        assert ended.reason == (
            f"pruned after epoch {ended.n_epochs}" if ended.state == "PRUNED" else None
        )
    assert {each.state for each in listener.ended.values()} == {"COMPLETE", "PRUNED"}
    (data,) = {each.provenance["data_fingerprint"] for each in listener.ended.values()}
    assert data == store.launches()[0].data_fingerprint


def test_what_a_killed_launch_did_not_tell_is_told_by_the_next(
    plan_for: MakePlan,
    store: Store,
    recorder: Recorder,
    teller: Tell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assigned, "CHECKPOINT_SECONDS", 0.0)
    plan = plan_for(budget={"trials": 4})
    early = Early()
    ledger, study = new_ledger(plan, store, early)
    listener = Listener(catches_up=True)
    early.tell = teller(ledger, listener)
    work(ledger, plan, n_steps=5)
    assert listener.told == {"trial 0": [1, 2], "trial 1": [1, 2]}
    killed(ledger, store)
    ledger = going_on(plan, store, recorder)
    tell = teller(ledger, listener)
    tell.look()
    waiting = {name: (run.state, run.n_epochs) for name, run in listener.ended.items()}
    assert waiting == {"trial 0": ("WAITING", 5), "trial 1": ("WAITING", 5)}
    assert listener.told == {"trial 0": ALL[:5], "trial 1": ALL[:5]}
    work(ledger, plan)
    killed(ledger, store)  # It had not looked again.
    ledger = going_on(plan, store, recorder)
    tell = teller(ledger, listener)
    tell.look()
    assert listener.told == {f"trial {number}": ALL for number in range(4)}
    assert {run.state for run in listener.ended.values()} == {"COMPLETE"}
    begun = list(listener.begun)
    teller(ledger, listener).look()
    assert listener.begun == begun
    assert len(study.trials) == 4


def test_a_live_launch_tells_of_its_runs_itself(
    plan_for: MakePlan, store: Store, recorder: Recorder, teller: Tell
) -> None:
    plan = plan_for(budget={"trials": 4})
    one, _ = new_ledger(plan, store, recorder)
    work(one, plan, n_steps=1)
    two, _ = new_ledger(plan, store, recorder)
    of_two = Listener(catches_up=True)
    tell = teller(two, of_two)
    work(two, plan, n_steps=1)
    tell.look()
    assert of_two.begun == ["trial 2", "trial 3"]
    killed(one, store)
    tell.look()
    assert of_two.begun == ["trial 2", "trial 3"]
    fresh, new = Listener(catches_up=True), Listener()
    killed(two, store)
    three = going_on(plan, store, recorder)
    teller(three, fresh).look()
    teller(three, new).look()
    assert fresh.told == {f"trial {number}": [1] for number in range(4)}
    assert not new.begun


def test_failed_replicated_and_confirmed_runs_have_their_names_and_states(
    plan_for: MakePlan, store: Store, recorder: Recorder, teller: Tell
) -> None:
    plan = plan_for(replicates=2, budget={"trials": 2})
    ledger, study = new_ledger(plan, store, recorder)
    assignment = ledger.next_assignment()
    assert assignment is not None
    ledger.fail(assignment.runs[0][0].run_id, "ran out of patience")
    work(ledger, plan)
    confirm(plan, store, study, 1, [0.25, None])
    store.end_launch(store.launches()[-1].launch_id, "done")
    listener = Listener(catches_up=True)
    teller(ledger, listener).look()
    assert {name: (run.state, run.reason) for name, run in listener.ended.items()} == {
        "trial 0, replicate 0": ("FAIL", "ran out of patience"),
        "trial 0, replicate 1": ("FAIL", "ran out of patience"),
        "trial 1, replicate 0": ("COMPLETE", None),
        "trial 1, replicate 1": ("COMPLETE", None),
        "trial 1, fresh seed 0": ("COMPLETE", None),
        "trial 1, fresh seed 1": ("FAIL", "the loss is not finite"),
    }
    assert listener.ended["trial 1, fresh seed 0"].kept["val_error"] == 0.25
    assert len({run.slug for run in listener.ended.values()}) == 6
