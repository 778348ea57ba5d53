"""Submissions as jobs of a Ray cluster's, by Ray's Jobs API."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zipfile import ZipFile

import sqlalchemy as sa

from search.agent.children import Child, Order, last_words
from search.agent.room import Room
from space.errors import ClusterError, UsageError
from space.terminal.command import EXIT_INTERRUPTED
from space.words import describe
from storage.commands.kit import STORAGE_VARIABLE
from storage.tables.service import SubmissionRecord

__all__ = ["RayJobs"]

T = TypeVar("T")

ANSWER_SECONDS = 10.0
"""For an answer of the cluster: Ray itself would wait for ever."""
PAUSE_SECONDS = 10.0
"""Before a cluster that did not answer is asked again."""
POLL_SECONDS = 2.0
"""Between two questions of what has become of a job."""
STOP_SECONDS = 100
"""For a launch to stop gracefully, before Ray kills it: Ray itself would wait for 3."""
_PLACES_OF_RAY = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray's client would follow in the place of what it is given."""
_STATUS = re.compile(r"status code (?P<number>\d{3})\b")
"""How Ray's client tells of an answer that says that something was not done."""
_DIED = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE")
"""What Ray says of a job that was killed with the process that looked after it, or its node."""


class _RefusedError(ClusterError):
    """The cluster answers that it will not do what it was asked.

    Attributes:
        status: Of its answer, as HTTP has it.
    """

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


class RayJobs:
    """Starts commands as jobs of a cluster, on its head; their launches join the cluster."""

    def __init__(self, url: str) -> None:
        """
        Args:
            url: The dashboard of the cluster's head, such as ``http://head:8265``.

        Raises:
            UsageError: If it is no such URL, or Ray's client for jobs is not installed.
            ClusterError: If Ray's Jobs API does not answer there.
        """
        self._url, self._where = url, _place(url)
        self._away, self._away_until = ClusterError(), 0.0
        for name in _PLACES_OF_RAY:
            os.environ.pop(name, None)
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):  # type: ignore[misc]
            """Ray's, which waits no longer than it may."""

            def _do_request(self, *args: Any, **options: Any) -> Any:
                return super()._do_request(*args, **{"timeout": ANSWER_SECONDS, **options})

        for handler in logging.getLogger("ray").handlers:
            handler.setLevel(logging.WARNING)
        try:
            self._client = self._understood(lambda: Client(url))
        except ClusterError as error:
            if "ray[default]" in str(error.__cause__):
                raise UsageError(
                    "--ray-jobs needs Ray's client for jobs: pip install "
                    "'digit-pair-search[rayjobs]'."
                ) from error
            raise ClusterError(
                f"{str(error).rstrip('.')}; check --ray-jobs, and that the cluster's head has its "
                "dashboard, which takes ray[default] there."
            ) from error

    def room(self, cpus: int | None, gpus: Sequence[str] | None) -> Room:
        """What the cluster has now, or what options say of it.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        from ray.util.state import list_nodes

        alive = [("state", "=", "ALIVE")]
        nodes = self._asked(lambda: list_nodes(self._url, filters=alive, limit=10_000))
        there = [node.resources_total for node in nodes]
        n_gpus = int(sum(each.get("GPU", 0) for each in there))
        return Room(
            cpus=cpus or sum(each.get("CPU", 0) for each in there),
            gpus=tuple(map(str, range(n_gpus)) if gpus is None else gpus),
        )

    def __call__(self, submission: SubmissionRecord, order: Order) -> Child:
        """As `Start` says."""
        # What Ray is told of a job it shows, and writes down: no password is among it.
        url = sa.make_url(order.environment[STORAGE_VARIABLE])
        bare = url.difference_update_query(["password"])._replace(password=None)
        environment = {
            **order.environment,
            STORAGE_VARIABLE: bare.render_as_string(hide_password=False),
            "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
        }
        job = f"search-{submission.submission_id}-{submission.hold}"
        with tempfile.TemporaryDirectory(prefix="search-job-") as folder:
            # Of a directory Ray would leave out what names and ignore files say.
            packed = Path(folder) / "files.zip"
            with ZipFile(packed, "w") as archive:
                for name, text in order.files.items():
                    archive.writestr(name, text)
            try:
                self._asked(
                    lambda: self._client.submit_job(
                        entrypoint=f"exec {shlex.join(['python', *order.arguments])}",
                        submission_id=job,
                        runtime_env={"working_dir": str(packed), "env_vars": environment},
                    )
                )
            except _RefusedError as error:
                raise ValueError(str(error)) from error
        return _Job(self, job)

    def info(self, job: str) -> Any:
        """What the cluster knows of a job, as Ray's `JobDetails`; None where it knows none.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        try:
            return self._understood(lambda: self._client.get_job_info(job))
        except _RefusedError as error:
            if error.status == 404 and job in str(error):  # No other server would name it.
                return None
            raise

    def stop(self, job: str) -> None:
        """Ask a job to stop gracefully.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        self._asked(lambda: self._client.stop_job(job))

    def _asked(self, question: Callable[[], T]) -> T:
        """The answer to a question.

        Raises:
            ClusterError: If the cluster does not answer, or not as it should.
        """
        import requests
        from ray.exceptions import AuthenticationError
        from ray.util.state.exception import RayStateApiException

        if time.monotonic() < self._away_until:
            raise self._away  # Nor would it answer now, and many ask.
        try:
            return question()
        except AuthenticationError as error:
            raise self._not_there(
                "it wants the cluster's token, in ~/.ray/auth_token or RAY_AUTH_TOKEN, and "
                "RAY_AUTH_MODE=token"
            ) from error
        except requests.Timeout as error:
            raise self._not_there(f"not within {ANSWER_SECONDS:.0f} s") from error
        except (requests.RequestException, ConnectionError) as error:
            # Ray puts an error of its own in the place of whatever ended a connection.
            is_tls = isinstance(error.__context__, requests.exceptions.SSLError)
            speech = "TLS with a certificate that is trusted" if is_tls else "HTTP"
            raise self._not_there(f"nobody speaks {speech} there") from error
        except (RuntimeError, RayStateApiException) as error:
            said = last_words(str(error)).rstrip(".")
            found = _STATUS.search(str(error))
            if found is not None and found["number"].startswith("4"):
                raise _RefusedError(said, int(found["number"])) from error
            raise self._not_there(said) from error

    def _understood(self, question: Callable[[], T]) -> T:
        """The same, where nothing but the answer can be wrong.

        Raises:
            ClusterError: Likewise.
        """
        try:
            return self._asked(question)
        except (KeyError, TypeError, ValueError) as error:
            raise self._not_there("what answers is not Ray") from error

    def _not_there(self, reason: str) -> ClusterError:
        self._away = ClusterError(f"Ray's Jobs API at {self._where} does not answer: {reason}.")
        self._away_until = time.monotonic() + PAUSE_SECONDS
        return self._away


class _Job(Child):
    """A job, which lives on where its agent dies."""

    def __init__(self, jobs: RayJobs, job: str) -> None:
        self._jobs, self._job = jobs, job
        self._is_stopping = False
        self._asked_at = 0.0
        self._message = ""

    def poll(self) -> int | None:
        if time.monotonic() < self._asked_at + POLL_SECONDS:
            return None
        found = self._jobs.info(self._job)
        if found is not None and not found.status.is_terminal():
            if self._is_stopping:
                self._jobs.stop(self._job)
            self._asked_at = time.monotonic()
            return None
        if found is None:  # The cluster was started anew.
            return -signal.SIGKILL
        self._message = found.message or ""
        return _exit_status(found)

    def interrupt(self) -> None:
        self._is_stopping, self._asked_at = True, 0.0

    def said(self) -> str:
        return last_words(self._message)

    def clear(self) -> None:
        """Nothing: Ray keeps the logs for who looks into them."""


def _exit_status(job: Any) -> int:
    """The exit status of a job's command; what would be one where it could not even begin."""
    if job.status == "SUCCEEDED":
        return 0
    if job.status == "STOPPED":
        return EXIT_INTERRUPTED
    if job.driver_exit_code is not None:
        return int(job.driver_exit_code)
    return -signal.SIGKILL if job.error_type in _DIED else 1


def _place(url: str) -> str:
    """A URL as it may be shown.

    Raises:
        UsageError: If no cluster's dashboard has such a one.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment:
        raise UsageError(
            f"--ray-jobs {describe(url)}: expected the dashboard of the cluster's head, such as "
            "http://HEAD:8265."
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
