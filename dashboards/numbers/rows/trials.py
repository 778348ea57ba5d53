"""The trials of a study as rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean

from dashboards.numbers.rows.rows import Column, N, Row, Rows
from dashboards.numbers.study.trials import StudyTrial, read_trials
from space import Value
from space.config import SEED_KEYS
from space.metrics import UNKNOWN, Metric
from space.words import STATES
from storage import RunRecord, Store
from storage.summaries.best import objectives
from storage.summaries.kept import kept_metrics
from storage.summaries.study import INTERRUPTED, abandoned_trials

__all__ = ["TRIAL", "distinct", "trial_rows"]

TRIAL = "trial"
"""The column of a trial's number."""


def trial_rows(store: Store, study_id: int) -> Rows:
    """Read a study's trials.

    Args:
        store: The store.
        study_id: The study, which another Optuna tool may have made.

    Returns:
        A row a trial, by number: state, objectives, what else was measured of the state that it
        keeps (the mean of its replicates), parameters, epochs (of another tool's: reports),
        seconds, and how it ended.

    Raises:
        StorageError: If the store cannot be read.
    """
    record = store.study_records().get(study_id)
    measured = record.measured if record else UNKNOWN
    aims = objectives(store, study_id)
    runs = store.runs(study_id, "search")
    trials, distributions = read_trials(store, study_id, runs)
    abandoned = abandoned_trials(store).get(study_id, set())
    kept = kept_metrics(store, study_id, "search")
    of_trial: dict[int | None, list[RunRecord]] = {}
    for run in runs:
        of_trial.setdefault(run.trial_id, []).append(run)
    known = {name for values in kept.values() for name in values}
    others = [metric for metric in measured.of_epochs if metric.name in known]
    others = [metric for metric in others if metric.name not in {aim.name for aim in aims}]
    named = distinct([aim.name for aim in aims], _OWN, "objectives")
    taken = [*_OWN, *named.values(), *(metric.name for metric in others)]
    params = distinct(distributions, taken, "params")
    # Another tool's trial says what it reported alone.
    steps = "epochs" if record else "reports"
    columns = (
        Column(name=TRIAL, words="trial", is_label=True),
        Column(name="state", words="state"),
        *(Column(name=named[aim.name], words=aim.words, metric=aim) for aim in aims),
        *(Column(name=each, words=param) for param, each in params.items()),
        *(Column(name=m.name, words=m.words, metric=m, is_shown=False) for m in others),
        Column(name=steps, words=steps),
        Column(name="seconds", words="training time (s)"),
        Column(name="baseline", words="baseline", is_shown=False),
        Column(name="warm_start", words="warm start from", is_shown=False),
        Column(name="seed", words="training seed", is_shown=False, is_label=True),
        Column(name="launch", words="launch", is_shown=False, is_label=True),
        Column(name="worker", words="worker", is_shown=False),
        Column(name="begun", words="begun (UTC)", is_shown=False),
        Column(name="reason", words="how it ended", is_shown=False),
    )
    rows = []
    for trial in trials:
        own = of_trial.get(trial.trial_id, [])
        values: dict[str, Value | None] = {
            **_of_runs(own),
            **_means([kept.get(run.run_id, {}) for run in own], others),
            **{params[name]: value for name, value in trial.params.items()},
            **_of_trial(trial, list(named.values())),
            **({"state": INTERRUPTED.lower()} if trial.trial_id in abandoned else {}),
            steps: trial.n_epochs,
        }
        rows.append(Row(key=str(trial.number), values=values))
    return Rows(columns=columns, rows=tuple(rows))


_OWN = (
    *(TRIAL, "state", "epochs", "reports", "seconds", "baseline", "warm_start", "seed"),
    *("launch", "worker", "begun", "reason", N),
)


def distinct(names: Iterable[str], taken: Collection[str], kind: str) -> dict[str, str]:
    """Name -> column: the same, after its kind where it means something else already."""
    return {name: f"{kind}.{name}" if name in taken else name for name in names}


def _of_trial(trial: StudyTrial, aims: Sequence[str]) -> dict[str, Value | None]:
    return {
        TRIAL: trial.number,
        "state": STATES[trial.state],
        **dict(zip(aims, trial.values, strict=False)),
        "seconds": trial.seconds or None,
        "baseline": trial.is_baseline,
        **({} if trial.warm_start is None else {"warm_start": trial.warm_start}),
        **({} if trial.reason is None else {"reason": trial.reason}),
    }


def _of_runs(runs: Sequence[RunRecord]) -> dict[str, Value | None]:
    """What the first of a trial's runs says; its replicates are alike but for their seeds."""
    if not runs:
        return {}
    first = runs[0]
    section, name = SEED_KEYS[1].split(".")
    return {
        "seed": first.config.get(section, {}).get(name),
        "launch": first.launch_id,
        "worker": first.worker,
        "begun": f"{first.started_at:%Y-%m-%d %H:%M:%S}",
        "reason": first.reason,
    }


def _means(runs: Sequence[Mapping[str, float]], metrics: Sequence[Metric]) -> dict[str, float]:
    found = {}
    for metric in metrics:
        values = [run[metric.name] for run in runs if metric.name in run]
        if values and all(map(math.isfinite, values)):
            found[metric.name] = fmean(values)
    return found
