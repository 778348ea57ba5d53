"""What a trial that is taken up again brings with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial
from pydantic import ValidationError

from search.trials.study import OpenedStudy
from space import RunConfig, Space
from space.epochs import Epoch
from storage import RunRecord
from storage.tables.attributes import FAIL_REASON
from trainables.finding.find import read_config

__all__ = ["as_begun", "held_by", "lost_failure"]


def held_by(opened: OpenedStudy, launch_id: int) -> list[tuple[FrozenTrial, list[int]]]:
    """The trials that a launch holds, each with those of its runs that count as running."""
    held: dict[int | None, list[int]] = {}
    for run in opened.store.runs(opened.id, "search", state="running"):
        if run.launch_id == launch_id:
            held.setdefault(run.trial_id, []).append(run.run_id)
    return [(trial, held[trial._trial_id]) for trial in opened.trials() if trial._trial_id in held]


def as_begun(
    run: RunRecord, config: RunConfig, params: Mapping[str, Any], space: Space
) -> RunConfig:
    """A run's config, with its numbers as they were written when it began.

    Args:
        run: The run, new or begun by an earlier launch.
        config: What its trial's parameters make of it now.
        params: These parameters.
        space: The search space.

    Returns:
        The config; where an older release began the run with another spelling of the same point,
        such as 0.7000000000000001 for 0.7, the config that its checkpoint belongs to.
    """
    if run.config_hash == config.config_hash():
        return config
    paths = space.parameter_paths
    try:
        begun = read_config(run.config)
        spelled = begun.with_values({paths[name]: value for name, value in params.items()})
    except ValidationError:
        return config
    is_same = spelled.config_hash() == config.config_hash() and all(
        space.parameters[name].spell(begun.value(paths[name])) == value
        for name, value in params.items()
    )
    return begun if is_same else config


def lost_failure(
    trial: FrozenTrial,
    runs: Sequence[tuple[RunRecord, RunConfig]],
    recorded: Mapping[int, Sequence[Epoch]],
) -> str | None:
    """Why a trial that was taken up again has failed already, or None."""
    if FAIL_REASON in trial.user_attrs:
        return str(trial.user_attrs[FAIL_REASON])
    for run, config in runs:
        if run.config_hash != config.config_hash():
            if run.config["training"].get("protocol") != config.value("training.protocol"):
                return "it was begun under another protocol of training than today's"
            return "its config was changed by the space file after it was interrupted"
        for epoch in recorded.get(run.run_id, ()):
            if not epoch.is_finite():
                return f"the loss is not finite in epoch {epoch.epoch}"
    return None
