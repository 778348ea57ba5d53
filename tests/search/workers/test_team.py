"""Trials that several processes train together, through Ray: as by one process, whatever dies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.launch.__main__ import main as launch
from search.launch.dry_run import Estimate, print_dry_run
from search.launch.plan import Plan
from search.launch.progress import announcement
from search.workers.ray_session import Slots
from space.errors import SpaceError, TrainingError
from storage import Store, open_store
from storage.admin.check import check_store
from trainables.contract.run_data import RunData
from trainables.failures import LostTeamError, TrialFailure
from trainables.finding.find import read_config, trainable_of
from trainables.worker import member, ray_trainable
from trainables.worker.ray_trainable import RayMembers, TeamSize

from ..conftest import opened

pytestmark = pytest.mark.slow

TASK = Path(__file__).parents[2] / "trainables" / "own_wave.py"
EPOCHS, BEFORE_A_KILL = 150, 40
CLOSE = 1e-4
"""By which share a number may differ from one process's: rounding makes 1e-6."""
SPACE: dict[str, Any] = {
    "trainable": f"{TASK}:Wave",
    "training": {"epochs": EPOCHS, "batch_size": 7, "optimizer": "sgd"},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}},
    "sampler": {"name": "random", "seed": 0},
    "baselines": [{"learning_rate": 0.01}],
    "budget": {"trials": 1},
}
TEAM = {"cpus": 1, "gpus": 0, "strategy": "ddp", "processes": 2}


def _ray_processes(named: str) -> list[psutil.Process]:
    """The workers of the Ray that this process has started."""
    found = []
    for each in psutil.Process().children(recursive=True):
        try:
            if each.cmdline()[0].startswith(f"ray::{named}"):
                found.append(each)
        except (psutil.Error, IndexError):
            continue
    return found


def _kill_in_turn(url: str, victims: list[str]) -> None:
    """Kill one process after the other, each once so many epochs more are recorded."""
    watched = open_store(url)
    try:
        for victim in victims:
            n = sum(run.n_epochs for run in watched.runs()) + BEFORE_A_KILL
            while sum(run.n_epochs for run in watched.runs()) < n:
                time.sleep(0.05)
            _ray_processes(victim)[-1].kill()
    finally:
        watched.close()


def test_a_team_trains_as_one_process_does_whichever_of_its_processes_dies(
    one_ray: Path, store: Store, plan_for: Callable[..., Plan], tmp_path: Path
) -> None:
    data = plan_for(**SPACE).place.data
    file = tmp_path / "team.json"
    file.write_text(json.dumps({**SPACE, "study": "team", "resources": TEAM}))
    url = store.url.render_as_string(hide_password=False)
    kills = threading.Thread(target=_kill_in_turn, args=(url, ["Member", "RunTrainable"]))
    kills.start()
    assert launch(["--space", str(file), "--storage", url]) == 0
    kills.join()
    (run,) = store.runs(store.study_id("team"))
    assert (run.state, run.n_epochs) == ("complete", EPOCHS)
    config = read_config(run.config)
    alone = trainable_of(config).open_run(config, data)
    for epoch in store.epochs([run.run_id])[run.run_id]:
        assert epoch.metrics == pytest.approx(alone.run_epoch().metrics, rel=CLOSE)
    assert alone.finished
    assert str(run.worker).endswith(" 2 processes")
    assert run.ended_at is not None
    assert 0 < run.train_seconds < (run.ended_at - run.started_at).total_seconds()
    assert check_store(store).findings == []
    assert _ray_processes("Member") == []


def test_what_trains_itself_is_refused(plan_for: Callable[..., Plan]) -> None:
    with pytest.raises(TrainingError, match=r"^resources\.strategy: 'closed-form' trains itself"):
        plan_for(resources=TEAM)


def test_a_person_is_told_of_the_processes(
    plan_for: Callable[..., Plan], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(**SPACE, resources=TEAM)
    slots = Slots(cpus=2, gpus=0, nodes=1, concurrency=2, gpus_per_trial=0)
    (first, *_) = announcement(plan, opened(plan, store), slots, 0, [])
    assert first.endswith("2 workers, 1 CPU each, 2 processes a run")
    cost = Estimate(n_threads=1, step_seconds=0.1, epoch_seconds=1, trial_seconds=10)
    print_dry_run(plan, "store", slots, cost, "text")
    assert "measured with one process; 2 share a run's batches out" in capsys.readouterr().out


def test_the_memory_of_one_process_is_not_that_of_a_team(plan_for: Callable[..., Plan]) -> None:
    with pytest.raises(SpaceError, match=r"limits\.trial_memory: the memory of a worker's own"):
        plan_for(**SPACE, resources=TEAM, limits={"trial_memory": "1GiB"})


@pytest.fixture
def members(one_ray: Path, monkeypatch: pytest.MonkeyPatch) -> RayMembers:
    """A team of two that does what it is told."""

    # Defined here it is sent to Ray's processes, which need not load what this module imports.
    class Scripted:
        """Fails, waits or dies as it is told."""

        def __init__(self, data: RunData, *, n_threads: int, on_gpu: bool) -> None:
            self._rank = -1

        def meeting(self) -> int:
            return 7

        def join(self, rank: int, size: int, port: int) -> None:
            assert (size, port) == (2, 7)
            self._rank = rank

        def do(self, method: str) -> Any:
            if method == "all fail" or (method == "one fails" and self._rank == 1):
                return TrialFailure(f"member {self._rank} ran out of memory")
            if method == "one fails" or (method == "one dies" and self._rank == 0):
                time.sleep(3600)
            if method == "one dies":
                psutil.Process().kill()
            return self._rank

    monkeypatch.setattr(member, "Member", Scripted)
    monkeypatch.setattr(ray_trainable, "GRACE_SECONDS", 1.0)
    return RayMembers(TeamSize(n=2, cpus=0.5, gpus=0), RunData(), n_threads=1)


def test_what_a_team_is_asked_for_comes_back_in_order(members: RayMembers) -> None:
    """Also after a failure of all of them, in which none waits for another."""
    assert members.ask("rank") == [0, 1]
    with pytest.raises(TrialFailure, match="ran out of memory"):
        members.ask("all fail")
    assert members.ask("rank") == [0, 1]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("one fails", "failed without the others: member 1 ran out of memory"),
        ("one dies", "one of its processes died"),
    ],
)
def test_a_team_that_waits_for_one_of_its_own_is_ended(
    members: RayMembers, what: str, said: str
) -> None:
    with pytest.raises(LostTeamError, match=said):
        members.ask(what)
    with pytest.raises(LostTeamError, match="died"):  # All of them are no more.
        members.ask("rank")
