"""One of the processes that train runs together, each on its part of every batch."""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from typing import Any, cast

import torch

from space.epochs import Epoch
from space.errors import UserError
from trainables.contract.run_data import RunData
from trainables.device import check_gpu_is_seen
from trainables.failures import (
    MemberFailure,
    TrialFailure,
    is_device_lost,
    out_of_memory_translated,
)
from trainables.finding.find import install, read_config, trainable_of
from trainables.loop.team import Meeting, Team
from trainables.loop.training import Training
from trainables.tracebacks import describe, traceback_of
from trainables.worker.usage import Usage

__all__ = ["Member"]


class Member:
    """A process of a team. All of a team are asked for the same things in the same order.

    It never writes or reads a file: what is to be known of a run is said to the worker that asks.
    """

    def __init__(self, data: RunData, *, n_threads: int, on_gpu: bool) -> None:
        """
        Args:
            data: What runs are trained on.
            n_threads: Threads for PyTorch.
            on_gpu: Whether this process was given a GPU.
        """
        self._on_gpu = on_gpu
        if not on_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        torch.set_num_threads(n_threads)
        install(data.own)
        self._data = data
        self._meeting: Meeting | None = None
        self._team: Team | None = None
        self._runs: dict[int, Training] = {}
        self._usage = Usage()

    def meeting(self) -> int:
        """The port at which the others meet this one."""
        self._meeting = Meeting()
        return self._meeting.port

    def join(self, rank: int, size: int, port: int) -> None:
        """Meet the others; returns when all are there. See `Team.join`."""
        self._team = Team.join(rank, size, self._meeting or port, on_gpu=self._on_gpu)

    def do(self, method: str, *arguments: Any) -> Any:
        """One of the methods below, on a run.

        Returns:
            What it gives; or, where the run cannot go on, a `TrialFailure` or a `UserError`.
        """
        try:
            return getattr(self, method)(*arguments)
        except (TrialFailure, UserError) as failure:
            return failure
        except Exception as error:  # whatever it is, the study survives it
            if is_device_lost():
                raise
            return MemberFailure(describe(error), traceback_of(error))

    def open(self, run_id: int, tree: dict[str, Any]) -> str:
        """Open a run at its beginning.

        Args:
            run_id: What to know it by.
            tree: Its config, in plain values.

        Returns:
            The name of the GPU that it is on; empty on a CPU.
        """
        if self._on_gpu and tree["training"]["device"] != "cpu":
            check_gpu_is_seen()
        config = read_config(tree)
        with out_of_memory_translated(config.what):
            run = trainable_of(config).open_run(config, self._data)
        training = cast(Training, run)
        training.team = self._team
        self._runs[run_id] = training
        return training.device_name

    def keep(self, run_ids: Collection[int]) -> None:
        """Let all other runs go."""
        self._runs = {key: run for key, run in self._runs.items() if key in run_ids}

    def usage(self) -> dict[str, Any]:
        """What this process takes of its machine; see `Usage`."""
        return self._usage.look(every=0.0)[0]

    def load(self, run_id: int, state: dict[str, Any]) -> None:
        """Go to a state of a run; see `Run.load_state_dict`."""
        self._runs[run_id].load_state_dict(state)

    def run_epoch(self, run_id: int) -> tuple[Epoch, str | None]:
        """Train an epoch with the others; its numbers, and what should be known."""
        run = self._runs[run_id]
        epoch = run.run_epoch()
        notice, run.notice = run.notice, None
        return epoch, notice

    def evaluate(self, run_id: int, other: bool) -> dict[str, float]:
        """See `Training.evaluate`: of all samples, by this process alone."""
        return self._runs[run_id].evaluate(self._data.test, other=other)

    def state(self, run_id: int) -> bytes | None:
        """The state of a run as `torch.save` writes it; of the first process alone."""
        if self._team is not None and self._team.rank:
            return None
        buffer = io.BytesIO()
        torch.save(self._runs[run_id].state_dict(), buffer)
        return buffer.getvalue()
