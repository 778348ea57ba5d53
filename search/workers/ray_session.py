"""Starting Ray here, or joining the Ray cluster that is there."""

from __future__ import annotations

import logging
import math
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search.workers.own_ray import Prestarted, bare_ray
from search.workers.scratch import scratch_directory
from space import Resources, TrainingConfig
from space.config import AnyTraining
from space.errors import ClusterError, TrainingError
from space.words import count, describe

__all__ = [
    "Slots",
    "has_gpus",
    "n_startable",
    "ray_session",
    "require_address",
    "require_listener",
    "slots_for",
]

# Read when Ray is imported or its processes start, so they are set before. Tune's own result files
# and snapshots repeat what the store holds; its trial directories are not used.
_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
}

_ADDRESS = re.compile(r"(?:[\w.-]{1,253}|\[[0-9a-fA-F:.%]{2,60}\]):(?P<port>[0-9]{1,5})", re.ASCII)

CONNECT_SECONDS = 5.0
"""For an answer from the address that is to be joined: Ray itself would wait for half a minute."""

OBJECT_STORE_BYTES = 300 * 2**20
"""For a Ray of our own: it holds one copy of the data."""


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What the machine or the cluster offers a search.

    Attributes:
        cpus: CPUs in all.
        gpus: GPUs in all.
        nodes: Machines.
        concurrency: Workers; each trains one trial at a time, or several together.
        gpus_per_trial: GPUs, or a share of one, that each trial gets.
    """

    cpus: float
    gpus: float
    nodes: int
    concurrency: int
    gpus_per_trial: float


@contextmanager
def ray_session(
    address: str | None, *, verbose: bool, prestarted: Prestarted | None = None
) -> Iterator[Path]:
    """Ray, ready, for as long as the block lasts.

    If this process is killed, a Ray of our own goes with it, and the workers follow in seconds.

    Args:
        address: None starts a Ray of our own on this machine, bound to loopback, without its
            dashboard, closed to whoever has not its token; ``auto`` or ``HOST:PORT`` joins a
            cluster, with the token in ``~/.ray/auth_token`` or ``RAY_AUTH_TOKEN`` if it wants one.
        verbose: Let Ray's own messages through.
        prestarted: Workers that start with a Ray of our own.

    Yields:
        A scratch directory for Tune, gone after the block; a Ray of our own has its files there.

    Raises:
        ClusterError: If Ray cannot be started or reached.
    """
    if address is not None:
        require_address(address)
        require_listener(address)
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import ray

    level = logging.INFO if verbose else logging.ERROR
    options: dict[str, object] = {
        "logging_level": level,
        "log_to_driver": verbose,
        "configure_logging": verbose,
    }
    logging.getLogger("ray").setLevel(level)
    with _scratch() as scratch:
        if address is None:
            # Ray asks for a token by default. This one is for this process and its workers alone;
            # Ray's own would go to a file that all commands of a user share, and that two of them
            # may write at once.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            options |= {
                # Not the cluster that RAY_ADDRESS names or that `ray start` has left here.
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_node_ip_address": "127.0.0.1",
                # Sockets and logs go with the launch, and the last cluster's address, which `ray
                # start` leaves for `ray status`, stays that of the user's own.
                "_temp_dir": str(scratch),
                # Its metrics would be for an agent that is not there.
                "_system_config": {
                    "prestart_worker_first_driver": prestarted is not None,
                    "preload_python_modules": [] if prestarted is None else prestarted.modules,
                    "enable_metrics_collection": False,
                },
            }
        else:
            options["address"] = address
        try:
            with ExitStack() as stack:
                stack.enter_context(_own_signal_handlers())
                if address is None:
                    stack.enter_context(bare_ray(verbose=verbose, prestarted=prestarted))
                ray.init(**options)
        except (OSError, RuntimeError, ValueError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else "no reason"
            said = _not_started(first) if address is None else _not_reached(address, first)
            raise ClusterError(said) from error
        try:
            yield scratch
        finally:
            ray.shutdown()


def require_address(address: str) -> None:
    """Refuse an address that names no cluster, before Ray waits for one.

    Args:
        address: ``auto``, or ``HOST:PORT`` as `ray start` prints it.

    Raises:
        ClusterError: If it is neither.
    """
    match = _ADDRESS.fullmatch(address)
    if address != "auto" and (match is None or not 0 < int(match["port"]) < 2**16):
        raise ClusterError(
            f"--ray-address {describe(address)}: expected auto, or HOST:PORT as `ray start` prints "
            "it; Ray Client's ray:// is not supported, submit the search with `ray job submit`."
        )


def require_listener(address: str) -> None:
    """Refuse an address at which nobody listens, before Ray waits for one.

    Args:
        address: What `require_address` lets through; ``auto`` is left to Ray, which looks it up.

    Raises:
        ClusterError: If no connection is made within `CONNECT_SECONDS`.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except UnicodeError as error:
        raise ClusterError(_not_reached(address, "no host has such a name")) from error
    except OSError as error:
        raise ClusterError(_not_reached(address, error.strerror or str(error))) from error


def _not_reached(address: str, reason: str) -> str:
    return (
        f"Ray cannot be reached at '{address}': {reason}; check --ray-address, that the cluster is "
        "up (`ray status`), and its token if it wants one (RAY_AUTH_TOKEN)."
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A scratch directory.

    Raises:
        ClusterError: If there can be none.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(scratch_directory())
        except OSError as error:
            raise ClusterError(_not_started(str(error))) from error
        yield path


def _not_started(reason: str) -> str:
    return (
        f"Ray cannot be started on this machine: {reason}; check that its directory for temporary "
        "files can be written and has some 100 MB left, or name another with RAY_TMPDIR and TMPDIR."
    )


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Keep this process's signal handlers: `ray.init` puts its own in their place."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def has_gpus() -> bool:
    """Whether the Ray that is up has a GPU."""
    import ray

    return bool(ray.cluster_resources().get("GPU"))


def slots_for(
    resources: Resources, concurrency: int | Literal["auto"], training: AnyTraining
) -> Slots:
    """Place trials on the Ray that is running.

    Args:
        resources: What one trial occupies.
        concurrency: The most that may run at once, or as many as fit.
        training: The settings of training, some of which need a GPU.

    Returns:
        How many trials run at once, and with what.

    Raises:
        ClusterError: If not even one trial fits.
        TrainingError: If trials get no GPU but a setting needs one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    share = (1.0 if gpus else 0.0) if resources.gpus == "auto" else float(resources.gpus)
    fit = sum(_fit(node, resources.cpus, share) for node in nodes)
    if fit == 0:
        raise ClusterError(
            f"resources: a trial wants {count(resources.cpus, 'CPU')} and {count(share, 'GPU')} on "
            f"one machine, which none has (in all: {count(cpus, 'CPU')} and {count(gpus, 'GPU')} "
            f"on {count(len(nodes), 'machine')}); lower resources.cpus or resources.gpus."
        )
    if not share:
        _refuse_gpu_settings(training, resources)
    return Slots(
        cpus=cpus,
        gpus=gpus,
        nodes=len(nodes),
        concurrency=fit if concurrency == "auto" else min(fit, concurrency),
        gpus_per_trial=share,
    )


def n_startable(slots: Slots, cpus_per_trial: float) -> int:
    """How many workers can be started at this moment.

    Args:
        slots: Where workers run.
        cpus_per_trial: CPUs, or a share of one, for each.

    Returns:
        As many as what is free would hold, were it one machine, but 1 at the least and no more than
        there may be: in a cluster that others use too, the rest have to wait.
    """
    import ray

    free = ray.available_resources()
    return max(1, min(slots.concurrency, _fit(free, cpus_per_trial, slots.gpus_per_trial)))


def _refuse_gpu_settings(training: AnyTraining, resources: Resources) -> None:
    """Refuse what only a GPU can do, where trials get none."""
    of_network = training if isinstance(training, TrainingConfig) else TrainingConfig()
    if of_network.precision != "float32":
        from trainables.device import check_device, pick_device

        check_device(of_network.model_copy(update={"tf32": False}), pick_device("cpu"))
    for key, wanted, default in (
        ("device", training.device == "cuda", "auto"),
        ("tf32", of_network.tf32, "false"),
    ):
        if wanted:
            raise TrainingError(
                f"training.{key}: this needs a GPU, and trials get none here (resources.gpus is "
                f"{resources.gpus}); set it to {default}."
            )


def _fit(node: dict[str, float], cpus: float, gpus: float) -> int:
    """How many trials one machine takes."""
    by_cpus = math.floor(node.get("CPU", 0.0) / cpus + 1e-9) if cpus else 10**9
    if not gpus:
        return by_cpus
    available = node.get("GPU", 0.0)
    # A trial's share of a GPU lies within one GPU.
    by_gpus = (
        math.floor(available) * math.floor(1 / gpus + 1e-9)
        if gpus < 1
        else math.floor(available / gpus + 1e-9)
    )
    return min(by_cpus, by_gpus)
