"""What decided the end of a trial or a run, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboards.numbers.study.trials import StudyTrial
from space import Space
from space.metrics import Metric
from space.words import count
from storage import RunRecord

__all__ = ["run_ending", "trial_ending"]


def trial_ending(
    trial: StudyTrial,
    trials: Sequence[StudyTrial],
    metric: Metric,
    space: Space | None,
    *,
    lives: bool,
) -> str:
    """How a trial ended, or that it has not.

    Args:
        trial: The trial.
        trials: All of the study.
        metric: The first objective.
        space: What was searched, where that is known.
        lives: Whether a launch that is alive trains it.
    """
    # Of a trial of another tool nothing is known but what it reported.
    trained = count(trial.n_epochs, "report" if space is None else "epoch")
    if trial.state == "COMPLETE":
        return f"It came to its end, after {trained} in all."
    if trial.state == "PRUNED" and trial.reason:
        return f"It ended after {trained}: {trial.reason}."
    if trial.state == "PRUNED":
        return _pruning(trial, trials, metric, space)
    if trial.state == "FAIL":
        return f"It failed after {trained}: {trial.reason or 'no reason is recorded'}."
    if trial.state == "WAITING":
        return "It waits for a worker."
    if lives:
        return f"It is being trained: {trained} so far."
    return f"Nobody trains it at the moment, after {trained}; the next launch goes on with it."


def _pruning(
    trial: StudyTrial, trials: Sequence[StudyTrial], metric: Metric, space: Space | None
) -> str:
    by = f"the {space.pruner.name} pruner" if space else "the pruner"
    if not trial.reports:
        return f"It was stopped by {by} before it reported anything."
    step, value = list(trial.reports.items())[-1]
    there = [each.reports[step] for each in trials if step in each.reports]
    finite = [each for each in there if math.isfinite(each)]
    counts = "replicate" if space and space.pruner.name == "wilcoxon" else "epoch"
    sentence = f"It was stopped by {by} after {counts} {step}, with a {metric.words} of "
    sentence += metric.show(value)
    if not math.isfinite(value):
        return f"{sentence}."
    n_better = sum(metric.rank(each) < metric.rank(value) for each in finite)
    return f"{sentence}: of the {count(len(there), 'trial')} that have got there, {n_better} " + (
        "are better."
    )


def run_ending(run: RunRecord, *, lives: bool) -> str:
    """How a run ended, or that it has not.

    Args:
        run: The run.
        lives: Whether a launch that is alive trains it.
    """
    trained = count(run.n_epochs, "epoch")
    if run.state == "running":
        if lives:
            return f"It is being trained: {trained} so far."
        return f"Nobody trains it at the moment, after {trained}."
    reason = f": {run.reason}" if run.reason else ""
    return f"It is {run.state} after {trained}{reason}."
