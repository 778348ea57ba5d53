"""Submissions as jobs of Slurm's, by submitit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.agent.children import Child, Order, last_words, run_here
from space.errors import ClusterError, UsageError
from space.terminal.command import EXIT_INTERRUPTED
from storage.commands.kit import STORAGE_VARIABLE
from storage.tables.service import SubmissionRecord

__all__ = ["Slurm", "options_of"]

DAY_MINUTES = 24 * 60
_OF_SHELL = (STORAGE_VARIABLE, "PYTHONPATH")
"""Variables that jobs get from the agent's own: what submitit writes down has no password."""


def options_of(texts: Sequence[str]) -> dict[str, Any]:
    """What the command line says of jobs: submitit's names -> values.

    Raises:
        UsageError: If one is no ``KEY=VALUE``.
    """
    found: dict[str, Any] = {"timeout_min": DAY_MINUTES}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--slurm-option: '{text}' is not KEY=VALUE.")
        found[key] = int(value) if value.isdigit() else value
    return found


class Slurm:
    """Starts commands as jobs, where Slurm has room for them."""

    def __init__(
        self, folder: Path, options: Mapping[str, Any], *, cluster: str | None = "slurm"
    ) -> None:
        """
        Args:
            folder: Where jobs and their logs lie; all machines see it.
            options: Of every job, by submitit's names, such as ``slurm_partition``.
            cluster: As submitit calls it.

        Raises:
            UsageError: If submitit is not installed, there is no Slurm, or an option is wrong.
        """
        try:
            import submitit
        except ImportError as error:
            raise UsageError(
                "--slurm needs submitit: pip install 'digit-pair-search[slurm]'."
            ) from error
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**options)
        except (RuntimeError, NameError, AssertionError) as error:
            said = str(error).strip().partition("\n")[0]
            raise UsageError(f"--slurm: {said or 'Slurm is not there'}.") from error
        if cluster == "slurm" and not _answers("sacct", "--jobs=0"):
            raise UsageError(
                "--slurm: sacct does not answer, and nobody would hear of a job that is "
                "killed; set up Slurm's accounting."
            )

    def __call__(self, submission: SubmissionRecord, order: Order) -> Child:
        """As `Start` says."""
        ours = dict(order.environment)
        os.environ.update({name: ours.pop(name) for name in _OF_SHELL})
        ours.pop("CUDA_VISIBLE_DEVICES", None)  # Slurm says which.
        self._executor.update_parameters(
            name=f"search-{submission.submission_id}",
            cpus_per_task=int(submission.cpus),
            gpus_per_node=int(submission.gpus),
        )
        try:
            return _Job(self._executor.submit(in_job, replace(order, environment=ours)))
        except RuntimeError as error:
            said = last_words(str(error))
            if _answers("sinfo"):
                raise ValueError(f"Slurm does not take it: {said}") from error
            raise ClusterError(f"Slurm does not answer: {said}.") from error


class _Job(Child):
    """A job, which lives on where its agent dies."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._killed = -signal.SIGKILL

    def poll(self) -> int | None:
        if not self._job.done():
            return None
        return self._killed if self._job.exception() is not None else int(self._job.result()[0])

    def interrupt(self) -> None:
        self._killed = EXIT_INTERRUPTED
        self._job.cancel(check=False)

    def said(self) -> str:
        return str(self._job.result()[1])

    def clear(self) -> None:
        """Nothing: the logs stay for who looks into them."""


def _answers(*command: str) -> bool:
    """Whether a command of Slurm's gets an answer."""
    return subprocess.run([*command, "--noheader"], capture_output=True).returncode == 0


def in_job(order: Order) -> tuple[int, str]:
    """Run a command inside a job; say its exit status, and what it ended with."""
    process = run_here(order, f"search-job-{os.getpid()}-", own_session=False)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.interrupt()
        status = process.wait()
    said = process.said()
    process.clear()
    return status, said
