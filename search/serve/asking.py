"""Ask, report, tell: trials that clients train, under the lease and the truth of a launch."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter, Request

from search.api.asked import AskedTrial
from search.serve.bodies import (
    Failure,
    Given,
    Goes,
    Key,
    Launch,
    Lease,
    NewClientLaunch,
    Number,
    Report,
    State,
    uid_of,
)
from search.serve.held import HeldLaunches
from space.errors import UsageError
from storage.leases import LEASE_SECONDS

__all__ = ["asking"]


def asking(held: HeldLaunches) -> APIRouter:
    """The addresses below ``/launches`` by which clients train trials."""
    router = APIRouter(tags=["trials trained elsewhere"])

    @router.post("/launches", status_code=201)
    @held.in_turn
    def begin(request: Request, body: NewClientLaunch, key: Key = None) -> Launch:
        """Begin a launch of a study, whose trials the client trains.

        It lives as long as something of it is heard: each request about it counts. The trials of
        one that was silent for its lease are given to whoever asks next.
        """
        token = request.state.token
        client = "?" if request.client is None else request.client.host
        uid = uid_of(token, key)
        launch, name, number = held.begin(token, client, body.study, body.space, uid)
        return Launch(launch=launch, study=name, study_id=number, lease_seconds=LEASE_SECONDS)

    @router.post("/launches/{launch}/ask")
    @held.in_turn
    def ask(request: Request, launch: Number, key: Key = None) -> Given:
        """The next trial to train: one that was left behind, a baseline, or a proposal.

        With the same key it is the same trial. Without one, the trial of an answer that was lost
        stays open until the launch ends.
        """
        with held.working(launch, request.state.token) as found:
            trial = found.ask(key)
            if trial is not None:
                return Given(trial=as_json(trial), finished=False)
            return Given(trial=None, finished=found.launch.is_finished)

    @router.post("/launches/{launch}/trials/{number}/report")
    @held.in_turn
    def report(request: Request, launch: Number, number: Number, body: Report) -> Goes:
        """Report an epoch of a trial's run; said again, it changes nothing."""
        with held.working(launch, request.state.token) as found:
            trial = found.trial(number)
            goes_on = False
            if trial is not None:
                run_id = trial._runs[0] if body.run is None else body.run
                if body.run is None and len(trial._runs) > 1:
                    raise UsageError(f"run: trial {number} has several; say which of them")
                if run_id not in trial._runs:
                    runs = ", ".join(map(str, trial._runs))
                    raise UsageError(f"run {run_id} is none of trial {number}'s: {runs}")
                metrics = {
                    name: math.nan if value is None else value
                    for name, value in body.metrics.items()
                }
                goes_on = found.launch.report(run_id, metrics, body.epoch, body.seconds)
            return Goes(goes_on=goes_on, state=found.launch.state_of(number))

    @router.post("/launches/{launch}/trials/{number}/tell")
    @held.in_turn
    def tell(request: Request, launch: Number, number: Number, body: Failure) -> State:
        """How a trial ended, or that it cannot go on; said again, it changes nothing.

        A trial with all its epochs has ended by itself, and so has one that was pruned.
        """
        with held.working(launch, request.state.token) as found:
            found.trial(number)
            return State(state=found.launch.tell(number, body.failure))

    @router.post("/launches/{launch}/beat")
    @held.in_turn
    def beat(request: Request, launch: Number) -> Lease:
        """Say that the client is alive, where it has nothing else to say for long."""
        with held.working(launch, request.state.token):
            return Lease(lease_seconds=LEASE_SECONDS)

    @router.post("/launches/{launch}/end")
    @held.in_turn
    def end(request: Request, launch: Number) -> State:
        """End a launch: its open trials go back into the queue, for others to go on with."""
        held.end(launch, request.state.token)
        return State(state="ended")

    return router


def as_json(trial: AskedTrial) -> Any:
    """A trial as a client gets it."""
    return {
        "number": trial.number,
        "params": trial.params,
        "epochs": trial.epochs,
        "runs": [
            {"run": run_id, "config": config.model_dump(mode="json"), "known": known}
            for run_id, config, known in zip(trial._runs, trial.configs, trial.n_known, strict=True)
        ],
    }
