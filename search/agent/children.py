"""The command of a submission, as a process of its own that outlives its agent if it must."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from dashboards.pages.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from search.runs.actions import SUBMISSION_VARIABLE
from search.workers.ray_session import require_listener
from space.files.places import Place
from storage.commands.kit import STORAGE_VARIABLE
from storage.tables.service import SubmissionRecord, WholeSubmission

__all__ = [
    "Child",
    "Order",
    "Process",
    "Start",
    "joining",
    "last_words",
    "order_of",
    "run_here",
    "start",
]

ROOT = Path(__file__).resolve().parents[2]
"""Where our packages lie, which a child's working directory does not hold."""
END_BYTES = 100_000
"""Of what a command said: its last words are among them."""
MOST_WORDS = 2_000
"""Characters of a reason, which the queue shows."""
_ERROR = "error: "
_OF_THE_PAGES = (USER_VARIABLE, PASSWORD_VARIABLE)
"""Variables that no submission needs, and whose code is not to see."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be run for a submission.

    Attributes:
        arguments: Of the Python that runs it.
        environment: Variables beside those of whoever starts it.
        files: Path -> text, to be put into its working directory.
    """

    arguments: list[str]
    environment: dict[str, str]
    files: Mapping[str, str]


def order_of(
    submission: WholeSubmission,
    url: sa.URL,
    *,
    checkpoints: Place,
    ray_address: str | None,
    gpus: Sequence[str],
) -> Order:
    """What is to be run for a submission that was just taken.

    Args:
        submission: The submission.
        url: The store, with its password.
        checkpoints: Where unfinished runs lie.
        ray_address: The cluster to join; None: a Ray of its own, with the CPUs and GPUs that the
            submission asks for.
        gpus: Which GPUs it gets.
    """
    arguments = ["-m", f"search.{submission.command}", *submission.arguments]
    arguments += ["--checkpoints", str(checkpoints)]
    environment = {
        STORAGE_VARIABLE: url.render_as_string(hide_password=False),
        SUBMISSION_VARIABLE: str(submission.hold),
        "SEARCH_DATA_ROOT": str(Path(os.environ.get("SEARCH_DATA_ROOT") or "data").resolve()),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }
    if ray_address is not None:
        arguments += ["--ray-address", ray_address]
    else:
        environment |= {
            "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": int(submission.cpus)}),
            "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        }
    return Order(arguments=arguments, environment=environment, files=submission.files)


class Child(Protocol):
    """A started command."""

    def poll(self) -> int | None:
        """Its exit status, negative where a signal ended it; None while no end is known.

        Raises:
            ClusterError: If who runs it elsewhere does not answer.
        """

    def interrupt(self) -> None:
        """Ask it to stop, as a first Ctrl-C does."""

    def said(self) -> str:
        """Why it failed: the sentence that it ended with."""

    def clear(self) -> None:
        """Delete its files, once it has ended."""


class Start(Protocol):
    """Starts commands: here, or as jobs of a system that runs them elsewhere."""

    def __call__(self, submission: SubmissionRecord, order: Order) -> Child:
        """Start one, which lives on where its agent dies.

        Args:
            submission: The submission, in the agent's hands.
            order: What is to be run for it.

        Raises:
            OSError: If its files cannot be written.
            ValueError: If these or its arguments hold what nobody takes.
            ClusterError: If who runs commands elsewhere does not answer, or the cluster that they
                join. It may be started all the same, and will find that it is not wanted.
        """


class Process(Child):
    """A command that runs on this machine."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, kin: str) -> None:
        """It was just started.

        Args:
            process: It.
            folder: Its own.
            kin: What its folder's name begins with, and those that earlier ones may have left.
        """
        self._process, self._folder, self._kin = process, folder, kin

    def poll(self) -> int | None:
        """As `Child` says."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait for its end; say its exit status."""
        return self._process.wait()

    def interrupt(self) -> None:
        """As `Child` says."""
        self._process.send_signal(signal.SIGINT)

    def said(self) -> str:
        """As `Child` says."""
        with (self._folder / "stderr").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - END_BYTES))
            return last_words(file.read().decode(errors="replace"))

    def clear(self) -> None:
        """As `Child` says; with what agents that were killed have left of it."""
        for folder in self._folder.parent.glob(f"{self._kin}*"):
            shutil.rmtree(folder, ignore_errors=True)


def start(submission: SubmissionRecord, order: Order) -> Process:
    """Start a command on this machine; see `run_here`."""
    # A Ctrl-C at the agent is the agent's.
    return run_here(order, f"search-submission-{submission.uid}-", own_session=True)


def joining(address: str) -> Start:
    """What starts commands here, as long as somebody listens at the cluster that they join."""

    def begin(submission: SubmissionRecord, order: Order) -> Process:
        require_listener(address)
        return start(submission, order)

    return begin


def run_here(order: Order, kin: str, *, own_session: bool) -> Process:
    """Start a command in a new folder of its own.

    Args:
        order: What to run.
        kin: What the folder's name begins with.
        own_session: Whether it hears no signal that is for whoever starts it.

    Raises:
        OSError: If its files cannot be written.
        ValueError: If these or its arguments hold what no system takes.
    """
    folder = Path(tempfile.mkdtemp(prefix=kin))
    try:
        return Process(_begun(folder, order, own_session=own_session), folder, kin)
    except (OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _begun(folder: Path, order: Order, *, own_session: bool) -> subprocess.Popen[bytes]:
    work = folder / "work"
    put_files(work, order.files)
    both = {**os.environ, **order.environment}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, *order.arguments],
            cwd=work,
            env={name: text for name, text in both.items() if name not in _OF_THE_PAGES},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=own_session,
        )


def put_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write a submission's files below a folder."""
    folder.mkdir()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def last_words(text: str) -> str:
    """The sentences that a command's errors ended with; of too many the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    said = " ".join(errors or lines[-1:]) or "it said nothing"
    return said if len(said) <= MOST_WORDS else f"... {said[-MOST_WORDS:]}"
