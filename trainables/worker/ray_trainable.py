"""The Ray Tune trainable: trains the runs of one assignment, one epoch a step.

This is the only module of `trainables` that imports Ray. It keeps nothing that the driver must
save: a run's state goes to its own checkpoint file, which whoever trains the run next goes on from.
A trial's config is ``{"runs": [assignment, ...], "in_turn": False}``, a step's result
``{"reports": [report, ...], "usage": [{...}] | []}``, as `trainables.worker.assigned` and
`trainables.worker.usage` define them; in turn means one run after the other instead of an epoch of
each. Between steps `change` says which runs there are, so
that one process with its libraries and data warm trains as many runs as there are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from space.errors import UserError
from trainables.contract.run_data import RunData
from trainables.failures import LostTeamError, TrialFailure
from trainables.finding.find import install
from trainables.worker.assigned import AssignedRun
from trainables.worker.steps import BatchedSteps
from trainables.worker.usage import Usage, together

__all__ = ["RayMembers", "RunTrainable", "TeamSize"]

GRACE_SECONDS = 60.0
"""How long the others of a team are waited for once one has failed: they may wait for that one."""


@dataclass(frozen=True, kw_only=True)
class TeamSize:
    """The processes that train a run together.

    Attributes:
        n: How many.
        cpus: What each of them occupies, and gpus.
    """

    n: int
    cpus: float
    gpus: float


class RayMembers:
    """The members of a team as Ray's actors, which end with the process that started them."""

    def __init__(self, size: TeamSize, data: RunData, *, n_threads: int) -> None:
        """Start them, and have them meet.

        Args:
            size: How many, and what each occupies.
            data: What runs are trained on.
            n_threads: Threads of each.

        Raises:
            LostTeamError: If one of them ends at once.
        """
        from trainables.worker.member import Member

        actor: Any = ray.remote(num_cpus=size.cpus, num_gpus=size.gpus)(Member)
        of_all = {"n_threads": n_threads, "on_gpu": size.gpus > 0}
        shared = ray.put(data)
        self._actors = [actor.remote(shared, **of_all) for _ in range(size.n)]
        (port,) = self._answers([self._actors[0].meeting.remote()])
        joins = [each.join.remote(rank, size.n, port) for rank, each in enumerate(self._actors)]
        self._answers(joins)

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """See `trainables.worker.team_run.Members`."""
        shared = [ray.put(each) if isinstance(each, dict) else each for each in arguments]
        return self._answers([each.do.remote(method, *shared) for each in self._actors])

    def _answers(self, asked: list[Any]) -> list[Any]:
        """What was asked for, in that order."""
        failure: Exception | None = None
        pending = asked
        while pending:
            timeout = None if failure is None else GRACE_SECONDS
            ready, pending = ray.wait(pending, timeout=timeout)
            if not ready:
                self._end()
                raise LostTeamError(f"one of its processes failed without the others: {failure}")
            try:
                found = ray.get(ready[0])
            except ray.exceptions.RayError as error:
                self._end()
                said = str(error).strip().partition("\n")[0]
                raise LostTeamError(f"one of its processes died: {said}") from error
            if isinstance(found, TrialFailure | UserError):
                failure = found
        if failure is not None:
            raise failure
        answers: list[Any] = ray.get(asked)
        return answers

    def _end(self) -> None:
        """Nothing of them is to be waited for any more."""
        for each in self._actors:
            ray.kill(each)


class RunTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains the runs it is given, an epoch a step, and reports every one of them."""

    def setup(
        self,
        config: dict[str, Any],
        data: RunData | None = None,
        n_threads: int | None = None,
        use_gpu: bool | None = None,
        team: TeamSize | None = None,
    ) -> None:
        """Open the runs of an assignment.

        Args:
            config: The runs.
            data: What they are trained on, where they need any.
            n_threads: Threads for PyTorch, or None to leave its choice.
            use_gpu: Whether the trial was given a GPU; without, none may be seen. None: runs take
                what there is.
            team: Of a worker whose runs are trained by several processes, which have what this one
                would have; it leads them.
        """
        self._has_gpu = use_gpu is True and team is None
        if use_gpu is False:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._usage = Usage()
        self._data = data or RunData()
        install(self._data.own)
        torch = sys.modules.get("torch")  # There where the data or the trainable need it.
        if torch is not None and n_threads is not None:
            torch.set_num_threads(n_threads)
        self._members: RayMembers | None = None
        if team is not None:
            self._members = RayMembers(team, self._data, n_threads=n_threads or 1)
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next assignment into this same process, its libraries and data warm."""
        self._open(new_config)
        return True

    def _open(self, config: dict[str, Any]) -> None:
        self._in_turn: bool = config["in_turn"]
        self._steps = BatchedSteps()
        self._runs: list[AssignedRun] = []
        self.change((), config["runs"])

    def change(self, drop: Collection[int], add: Sequence[dict[str, Any]]) -> None:
        """Let runs go and take others in, between two steps.

        Args:
            drop: Runs of which nothing more is to be trained or reported.
            add: Assignments.
        """
        self._runs = [run for run in self._runs if run.run_id not in drop and not run.closed]
        n_together = 1 if self._in_turn else len(self._runs) + len(add)
        self._runs += [
            AssignedRun(assignment, self._data, n_together=n_together, members=self._members)
            for assignment in add
        ]
        if self._members is not None:
            self._members.ask("keep", [run.run_id for run in self._runs])

    def step(self) -> dict[str, Any]:
        """Train every open run for an epoch, or only the first of them.

        Raises:
            RuntimeError: If no run is left: the driver and this worker disagree, and the driver
                would wait for ever.
            TrainingError: If the trial was given a GPU, and PyTorch sees none.
        """
        self._runs = [run for run in self._runs if not run.closed]
        if not self._runs:
            raise RuntimeError("a worker has no run left, but its driver asks for a step")
        if self._has_gpu and any(run.takes_a_gpu for run in self._runs):
            from trainables.device import check_gpu_is_seen

            check_gpu_is_seen()
        reports = self._steps.step(self._runs[: 1 if self._in_turn else None])
        usage = self._usage.look()
        if usage and self._members is not None:
            usage = [together([*usage, *self._members.ask("usage")])]
        return {"reports": reports, "usage": usage}
