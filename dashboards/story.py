"""What a report says in words: the question, how the search went, what came out of it."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.confirmation import Confirmation
from dashboards.numbers.statistics import summarise
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import STATES, StudyView
from dashboards.numbers.tables import count
from dashboards.numbers.together import together_note
from dashboards.pages.words import duration
from dashboards.tables.formats import show_mean, show_seeds
from dashboards.tables.study import metric_name, show_value

__all__ = [
    "benchmark_outcome",
    "benchmark_terms",
    "confirmation_outcome",
    "how_it_went",
    "listed",
    "question",
    "study_outcome",
]

_STATE_WORDS = {"FAIL": "failed"}


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """Words as a sentence lists them: ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def question(view: StudyView) -> str:
    """What a study asks."""
    goals = [
        f"the {'highest' if maximize else 'lowest'} {metric_name(metric)}"
        for metric, maximize in zip(view.metrics, view.maximize, strict=True)
    ]
    goal = listed(goals) if len(goals) == 1 else f"the best trade-off between {listed(goals)}"
    names = list(view.distributions) if view.space is None else list(view.space.parameters)
    if not names:
        return f"Which settings give {goal}?"
    if view.space is None:
        return f"Which {listed(names)} give {goal}?"
    space = view.space
    network = "the network" if "model" in names else space.model.name
    return (
        f"Which {listed(names)} give {network} {goal} within "
        f"{count(space.training.epochs, 'epoch')} of training on {view.data_source}?"
    )


def how_it_went(view: StudyView, *, is_running: bool) -> list[str]:
    """How a search went: trials by state, what they cost, what pruning saved.

    Args:
        view: The study.
        is_running: Whether a launch of it is alive.
    """
    if not view.trials:
        return ["No trial has begun yet."]
    states = [
        f"{n} {_STATE_WORDS.get(state, state.lower())}"
        for state in STATES
        for n in [view.counts[state]]
        if n
    ]
    launches = f" in {_counted(len(view.launches), 'launch', 'launches')}" if view.launches else ""
    sentences = [f"{count(len(view.trials), 'trial')}{launches}: {listed(states)}."]
    if len(view.cost.epochs_T) and view.cost.epochs_T[-1]:
        spent = (
            f"They trained {count(int(view.cost.epochs_T[-1]), 'epoch')} in "
            f"{duration(float(view.cost.seconds_T[-1]))} of training time"
        )
        saved = int(view.cost.saved_epochs_T[-1])
        if saved:
            saved_time = duration(float(view.cost.saved_seconds_T[-1]))
            spent += f"; pruning saved {count(saved, 'further epoch')}, some {saved_time}"
        sentences.append(f"{spent}.")
        note = together_note(view.n_together, view.n_runs)
        sentences += [note] if note else []
    if is_running:
        sentences.append("The search is still going on.")
    return sentences


def study_outcome(view: StudyView) -> str:
    """What a search found, in one sentence."""
    best, baseline = view.best, view.baseline
    if best is None:
        return "No trial is complete yet."
    if len(view.metrics) > 1:
        return (
            f"{_counted(len(view.front), 'trial is', 'trials are')} on the Pareto front of "
            f"{listed(metric_name(metric) for metric in view.metrics)}."
        )
    metric = metric_name(view.metrics[0])
    said = f"The best is trial {best.number} with a {metric} of {show_value(best.values[0])}"
    if baseline is None or not baseline.values:
        return f"{said}."
    if baseline.number == best.number:
        return f"{said}, the baseline: no trial was better."
    return f"{said}, against {_stated(baseline)} of the baseline, trial {baseline.number}."


def confirmation_outcome(found: Confirmation, *, maximize: bool) -> str:
    """How the winner and the baseline do on fresh seeds, and how far the search was optimistic.

    Args:
        found: The confirmation.
        maximize: Whether larger values are better.
    """
    said, winner = found.optimism, f"trial {found.winner.trial_number}"
    itself = ", the baseline itself" if found.winner.trial_number == found.baseline else ""
    does_best = (
        f"On {count(said.confirmed.n, 'fresh seed')} {winner} does best"
        f"{itself}: its {metric_name(found.metric)} is {show_mean(said.confirmed)}"
        f"{_against_baseline(found)}."
    )
    if found.winner.was_pruned:
        return f"{does_best} The search had stopped {winner} at {show_value(said.search_value)}."
    worse_by = -said.difference if maximize else said.difference
    verdict = (
        f"the search was too optimistic by {worse_by:.4f}"
        if worse_by > 0
        else "the search was not too optimistic"
    )
    return (
        f"{does_best} Of {winner} the search had said {show_value(said.search_value)}, so "
        f"{verdict}."
    )


def benchmark_terms(view: BenchmarkView) -> str:
    """What a benchmark is of and how far it is."""
    record = view.record
    return (
        f"{view.n_done} of {count(view.n_asked, 'run')} have a result: "
        f"{_counted(len(record.configs), 'config', 'configs')} on the seeds "
        f"{show_seeds(range(record.n_seeds))} of {record.data_source} (data fingerprint "
        f"{record.data_fingerprint}). A seed fixes data draw, split, initialisation and order for "
        "every config alike. Test errors were read once a run, at its end, for the state with the "
        f"lowest validation error. {together_note(view.n_together, view.n_done)}"
    ).rstrip()


def benchmark_outcome(view: BenchmarkView) -> str:
    """What a benchmark found, in one or two sentences."""
    rows = [row for row in view.table.rows if row.errors]
    if not rows:
        return "No run has finished yet."
    best = min(rows, key=lambda row: row.errors["test_error"].mean)
    found = f"{show_mean(best.errors['test_error'])} over {count(best.n, 'seed')}"
    if len(rows) == 1:
        said = f"{best.name} has a mean test error of {found}."
    else:
        said = f"{best.name} has the lowest mean test error, {found}."
    verdicts: dict[str, list[str]] = {}
    for row in view.table.rows:
        if row.comparison is not None:
            plain = row.verdict if row.verdict in ("better", "worse") else "not distinguishable"
            verdicts.setdefault(plain, []).append(row.name)
    if not verdicts:
        return said
    parts = [
        f"{listed(verdicts[verdict])} {'is' if len(verdicts[verdict]) == 1 else 'are'} {verdict}"
        for verdict in ("better", "worse", "not distinguishable")
        if verdict in verdicts
    ]
    return f"{said} Against {view.table.reference}, {'; '.join(parts)}."


def _against_baseline(found: Confirmation) -> str:
    """The baseline's mean and the winner's verdict beside it; nothing where there is no other."""
    winner = found.winner
    trials = [trial for trial in found.trials if trial.trial_number == found.baseline]
    if not trials or winner in trials:
        return ""
    baseline, n = summarise(trials[0].values), len(winner.values)
    same = "the same seed" if n == 1 else "the same seeds"
    seeds = same if baseline.n == n else count(baseline.n, "seed")
    compared = found.comparisons.get(winner.trial_number)
    verdict = (
        "one seed gives no verdict" if compared is None else f"the verdict: {compared.verdict}"
    )
    return (
        f", against {show_mean(baseline)} of the baseline, trial {found.baseline}, on {seeds}; "
        f"{verdict}"
    )


def _stated(trial: StudyTrial) -> str:
    shown = show_value(trial.values[0])
    return shown if trial.state == "COMPLETE" else f"{shown} ({trial.state.lower()})"


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"
