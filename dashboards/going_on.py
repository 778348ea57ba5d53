"""How to go on with what a store holds: the command that does what is still to be done."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from space import Space
from space.errors import SpaceError
from storage import BenchmarkRecord, LaunchRecord
from storage.benchmarks import config_changes, ends_with_changes
from storage.commands.command_line import command_line, has_option, option_values, with_option
from storage.commands.kit import storage_arguments

__all__ = ["SearchCommand", "benchmark_command", "confirming_command", "search_command"]

TOP = 3
"""So many of the best are confirmed where the space does not say."""


@dataclass(frozen=True, kw_only=True)
class SearchCommand:
    """How to go on with a search.

    Attributes:
        text: The command.
        searches_further: Whether it adds to a budget that is spent.
    """

    text: str
    searches_further: bool


def search_command(
    command: str, status: str, space: Space | None, store: str | None = None
) -> SearchCommand | None:
    """The command that goes on with a study after a launch.

    Args:
        command: The launch's command.
        status: How the launch ended, or that it runs.
        space: What it searched, resolved; None where it is not known.
        store: The name of the store that holds the study, where it may not be the command's own.

    Returns:
        The same command where the launch left something to do, twice the trials where it spent the
        budget; None where more trials cannot be asked for, or would not be begun: the grid has no
        more points, the last ones brought no better, or the launch was told a number of epochs or
        none of trials. None, too, of a command that is no shell line.
    """
    try:
        shlex.split(command)
    except ValueError:
        return None
    if store is not None:
        command = with_option(command, "--storage", *storage_arguments(store)[1:])
    if status == "plateau":
        return None
    if status != "done":
        return SearchCommand(text=command, searches_further=False)
    trials = space.budget.trials if space else None
    if space is None or trials is None or space.budget.epochs is not None:
        return None
    if space.sampler.name == "grid" and trials >= space.n_grid_points:
        return None
    text = with_option(command, "--trials", str(2 * trials))
    return SearchCommand(text=text, searches_further=True)


def confirming_command(
    command: str, space: Space, store: str, n_seeds: int | None = None
) -> str | None:
    """The command that trains a study's best and its baseline on fresh seeds that are missing.

    Args:
        command: That of its latest launch.
        space: What that searched, resolved.
        store: The name of the store that holds the study.
        n_seeds: So many seeds are wanted; default: as many as the space asks for.

    Returns:
        The command; None of one that is no shell line.
    """
    try:
        shlex.split(command)
    except ValueError:
        return None
    command = with_option(command, "--storage", *storage_arguments(store)[1:])
    command = with_option(command, "--confirm", str(space.confirm.top or TOP))
    return with_option(command, "--confirm-seeds", str(n_seeds or space.confirm.seeds))


def benchmark_command(
    record: BenchmarkRecord, launches: Sequence[LaunchRecord], store: str
) -> str | None:
    """The command that trains whatever a benchmark lacks.

    Args:
        record: The benchmark.
        launches: Launches that may have been of it, oldest first. The last one of the most files
            names the files; what it left out of them is not left out again.
        store: The name of the store that holds it.

    Returns:
        The command, or None where no launch was of this benchmark.
    """
    of_it = [launch for launch in launches if _is_of(launch, record)]
    if not of_it:
        return None
    latest = max(
        of_it, key=lambda each: (len(option_values(each.command, "--config")), each.launch_id)
    ).command
    arguments = ["--config", *option_values(latest, "--config"), *_changes(latest)]
    if record.max_seeds is None:
        arguments += ["--seeds", str(record.n_seeds)]
    else:
        arguments += ["--until-decided", "--max-seeds", str(record.max_seeds)]
    if has_option(latest, "--fresh-seeds"):
        arguments.append("--fresh-seeds")
    if record.reference != record.configs[0].name:
        arguments += ["--reference", record.reference]
    # What is unfinished goes on from its checkpoints.
    for directory in option_values(latest, "--checkpoints")[-1:]:
        arguments += ["--checkpoints", directory]
    return command_line("search.benchmark", [*arguments, *storage_arguments(store)])


def _is_of(launch: LaunchRecord, record: BenchmarkRecord) -> bool:
    if launch.study_id is not None or launch.data_fingerprint != record.data_fingerprint:
        return False
    if not option_values(launch.command, "--config"):
        return False
    if "benchmark" in launch.config:
        return bool(launch.config["benchmark"] == record.name)
    # Older launches do not say so.
    try:
        changes = config_changes(
            option_values(launch.command, "--set"),
            epochs=next(map(int, option_values(launch.command, "--epochs")[-1:]), None),
            augment=has_option(launch.command, "--augment"),
        )
    except (SpaceError, ValueError):
        return False
    return ends_with_changes(record.name, changes)


def _changes(command: str) -> list[str]:
    """The options of a command that change its configs."""
    changes = [word for text in option_values(command, "--set") for word in ("--set", text)]
    for epochs in option_values(command, "--epochs")[-1:]:
        changes += ["--epochs", epochs]
    return [*changes, "--augment"] if has_option(command, "--augment") else changes
