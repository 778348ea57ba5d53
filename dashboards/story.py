"""What a report says in words: the question, how the search went, what came out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dashboards.headline import (
    Headline,
    confirmed_headline,
    front_headline,
    unconfirmed_headline,
)
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.study.grid import GridCurve, GridReport
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView
from dashboards.numbers.together import together_note
from dashboards.statistics.means import Summary, summarise
from dashboards.statistics.verdicts import Answer, seeds_needed
from dashboards.tables.origins import known_words
from dashboards.words import on_data, show_mean
from space.metrics import Metric
from space.notation import Notation
from space.words import STATES, count, duration, joined, show_seeds, with_article

__all__ = [
    "benchmark_outcome",
    "benchmark_terms",
    "confirmation_caveats",
    "confirmation_outcome",
    "failures_on_fresh_seeds",
    "grid_outcome",
    "how_it_went",
    "question",
    "stopping_word",
    "study_headline",
    "study_outcome",
]

N_RUNNING = 4
"""So many trials that run are named."""
_ANSWERS: tuple[Answer, ...] = ("better", "worse", "equivalent", "undecided", "not ranked")


def question(view: StudyView) -> str:
    """What a study asks."""
    goals = [f"the {metric.extreme} {metric.words}" for metric in view.metrics]
    goal = joined(goals) if len(goals) == 1 else f"the best trade-off between {joined(goals)}"
    names = list(view.distributions) if view.space is None else list(view.space.parameters)
    if not names:
        return f"Which settings give {goal}?"
    if view.space is None:
        return f"Which {joined(names)} give {goal}?"
    space = view.space
    network = "the network" if "model" in names else space.what
    # A population's networks go on from round to round.
    within = "in rounds of" if space.sampler.name == "pbt" else "within"
    return (
        f"Which {joined(names)} give {network} {goal} {within} "
        f"{count(space.training.epochs, 'epoch')} of training"
        f"{on_data(view.data_source)}?"
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
        f"{view.counts[state]:,} {word}" for state, word in STATES.items() if view.counts[state]
    ]
    launches = f" in {_counted(len(view.launches), 'launch', 'launches')}" if view.launches else ""
    sentences = [f"{count(len(view.trials), 'trial')}{launches}: {joined(states)}."]
    if view.is_ours and len(view.cost.epochs_T) and view.cost.epochs_T[-1]:
        spent = (
            f"They trained {count(int(view.cost.epochs_T[-1]), 'epoch')} in "
            f"{duration(float(view.cost.seconds_T[-1]))} of training time"
        )
        saved = int(view.cost.saved_epochs_T[-1])
        if saved:
            saved_time = duration(float(view.cost.saved_seconds_T[-1]))
            spent += f"; {stopping_word(view)} saved "
            spent += f"{count(saved, 'further epoch')}, some {saved_time}"
        sentences.append(f"{spent}.")
        note = together_note(view.n_together, view.n_runs)
        sentences += [note] if note else []
    if is_running:
        sentences.append(_running_now(view))
    return sentences


def stopping_word(view: StudyView) -> str:
    """What to call what stopped trials before their last epoch: a person may have, too."""
    is_by_hand = any(each.state == "PRUNED" and each.reason for each in view.trials)
    return "stopping early" if is_by_hand else "pruning"


def _running_now(view: StudyView) -> str:
    """What is being trained at this moment."""
    running = [
        trial
        for trial in view.trials
        if trial.state == "RUNNING" and trial.number not in view.interrupted
    ]
    if not running:
        return "The search is still going on."
    of = f" of {count(view.full_epochs * view.replicates, 'epoch')}"
    first = [f"trial {trial.number} ({trial.n_epochs}{of})" for trial in running[:N_RUNNING]]
    more = len(running) - len(first)
    return f"Running now: {joined([*first, f'{more} more'] if more else first)}."


def study_outcome(view: StudyView) -> str:
    """What a search found, in one sentence."""
    best, baseline = view.best, view.baseline
    if best is None:
        return "No trial is complete yet."
    if len(view.metrics) > 1:
        return (
            f"{_counted(len(view.front), 'trial is', 'trials are')} on the Pareto front of "
            f"{joined(metric.words for metric in view.metrics)}."
        )
    metric = view.metrics[0]
    words, value = metric.words, metric.show(best.values[0])
    said = f"The best is trial {best.number} with {with_article(words)} of {value}"
    if baseline is None or not baseline.values:
        return f"{said}."
    if baseline.number == best.number:
        return f"{said}, the baseline: no trial was better."
    return f"{said}, against {_stated(metric, baseline)} of the baseline, trial {baseline.number}."


def study_headline(view: StudyView) -> Headline:
    """What a page of a study begins with."""
    if len(view.metrics) > 1:
        return front_headline(view.metrics, len(view.front))
    if view.confirmation is not None:
        return confirmed_headline(view.confirmation)
    best, baseline = view.best, view.baseline
    is_complete = baseline is not None and baseline.state == "COMPLETE"
    return unconfirmed_headline(
        view.metrics[0],
        best=None if best is None else best.values[0],
        baseline=next(iter(baseline.values), None) if baseline and is_complete else None,
        n_complete=view.counts["COMPLETE"],
    )


def confirmation_outcome(found: Confirmation) -> str:
    """How the winner and the baseline do on fresh seeds, and how far the search was optimistic."""
    winner, summary = found.winner, summarise(found.winner.values)
    itself = ", the baseline itself" if winner.trial_number == found.baseline else ""
    sentences = [
        f"On {count(summary.n, 'fresh seed')} trial {winner.trial_number} does best{itself}: its "
        f"{found.metric.words} is {_alone(summary, found.notation)}{_against_baseline(found)}."
    ]
    return " ".join([*sentences, *confirmation_caveats(found)])


def confirmation_caveats(found: Confirmation) -> list[str]:
    """What to bear in mind of a confirmation: whose means are optimistic, and what failed."""
    caveats = []
    if len(found.trials) > 1:
        caveats.append(
            f"The winner was chosen among {count(len(found.trials), 'trial')} by these very seeds, "
            "so its mean is optimistic, too."
        )
    caveats.append(_optimism(found))
    return caveats + failures_on_fresh_seeds(found.failed)


def failures_on_fresh_seeds(failed: Mapping[int, int]) -> list[str]:
    """A sentence for each trial that failed on fresh seeds, given on how many."""
    return [
        f"Trial {number} failed on {count(n, 'fresh seed')} and is not ranked."
        for number, n in sorted(failed.items())
    ]


def benchmark_terms(view: BenchmarkView) -> str:
    """What a benchmark is of and how far it is."""
    record = view.record
    judged = record.measured.judged_by
    chosen = dict.fromkeys(config.config.selection for config in record.configs)
    kept = " or, where a config says so, ".join(
        f"with the {rule[0].extreme} {rule[0].words}"
        for rule in (record.measured.rules(selection)[0] for selection in chosen)
        if rule
    )
    data = on_data(record.data_source, "of")
    if data:
        data += f" (data fingerprint {record.data_fingerprint})"
    n_both = sum(
        judged.name in found.result.other
        for row in view.table.rows
        for found in row.result.seeds.values()
    )
    both = ", and in {} also for the one that the other selection, by metric or by loss, would keep"
    both = both.format(count(n_both, "run")) if n_both else ""
    raced = ", each until it has a verdict" if view.table.is_raced else ""
    return (
        f"{view.n_done} of {count(view.n_asked, 'run')} have a result: "
        f"{_counted(len(record.configs), 'config', 'configs')} on the seeds "
        f"{show_seeds(record.seeds)}{data}{raced}. A seed fixes data draw, "
        f"split, initialisation and order for every config alike. The {judged.words} was read at "
        f"the end of each run, for the state {kept}{both}. "
        f"{together_note(view.n_together, view.n_done)}"
    ).rstrip()


def benchmark_outcome(view: BenchmarkView) -> str:
    """What a benchmark found, in a few sentences."""
    metric, notation = view.table.metric, view.table.notation()
    rows = [row for row in view.table.rows if row.means]
    if not rows:
        return "No run has finished yet."
    best, ranked = view.table.best, view.table.ranked
    if best is None:
        said = ["No two configs have the same seeds yet, so none is called the best."]
    else:
        found = f"{_alone(best.means[metric.name], notation)} over {count(best.n, 'seed')}"
        if len(rows) == 1:
            said = [f"{best.name} has in the mean {with_article(metric.words)} of {found}."]
        else:
            among = "" if len(ranked) == len(rows) else f" of the {len(ranked)} configs with all"
            lead = f"{best.name} has in the mean the {metric.extreme} {metric.words}"
            means = {row.name: row.means[metric.name].mean for row in ranked}
            level = [
                name
                for name, mean in means.items()
                if name != best.name and math.isclose(mean, means[best.name])
            ]
            said = [f"{lead}{among}, {found}{f', level with {joined(level)}' if level else ''}."]
    said += [
        f"{row.name} failed on {count(len(row.result.failed), 'seed')}."
        for row in view.table.rows
        if row.result.failed
    ]
    origin = None if best is None else best.result.origin
    if best is not None and origin is not None and origin.was_given and origin.reads.n_runs:
        given = f"taken from {origin.warm_start}" if origin.warm_start else "given by hand"
        said.append(
            f"The settings of {best.name} were {given} when {known_words(origin.reads)}, so "
            f"its {metric.words} may be better than new samples would show."
        )
    names: dict[Answer, list[str]] = {}
    for row in view.table.rows:
        if row.comparison is not None:
            names.setdefault(row.comparison.answer, []).append(row.name)
    parts = [
        f"{joined(names[answer])} {'is' if len(names[answer]) == 1 else 'are'} {answer}"
        for answer in _ANSWERS
        if answer in names
    ]
    if parts:
        said.append(f"Against {view.table.reference}, {'; '.join(parts)}.")
    return " ".join(said)


def grid_outcome(report: GridReport, curve: GridCurve) -> str:
    """What a curve says of the value that is asked about, with its uncertainty."""
    found, metric, notation = curve.finding, report.metric, report.notation
    name = f"{report.parameter} {report.reference:g}"
    if found.rival is None or found.behind is None:
        return f"{name} cannot be judged: no other point shares 2 or more seeds with it."
    against = {point.value: point.comparison for point in curve.points if point.comparison}
    comparison = against[found.rival]
    paired = comparison.paired
    by = f"{notation.value(abs(found.behind))}{notation.of_difference}"
    evidence = f"paired over {found.n} seeds"
    if paired.interval is not None:
        low, high = sorted((-paired.interval.low, -paired.interval.high))
        evidence += f", 95 % interval of {report.reference:g} minus {found.rival:g} "
        evidence += f"{notation.signed(low)} to {notation.signed(high)}"
    evidence += f", Holm-corrected p = {comparison.adjusted_p_value:.2g}"
    match found.verdict:
        case "best" if found.behind == 0:
            words = f"{name} has the {metric.extreme} mean of {found.n_points} points, level with "
            words += f"{found.rival:g}"
        case "best":
            words = f"{name} has the {metric.extreme} mean of {found.n_points} points, {by} "
            words += f"{metric.better} than the next, {found.rival:g}"
        case "worse":
            words = f"{name} is worse than {found.rival:g} by {by}"
        case _:
            words = f"{name} is within noise of the {metric.extreme} mean of {found.n_points} "
            words += f"points, that of {found.rival:g}, which is {by} {metric.better}"
    return f"{words} ({evidence}). {_seen_by_seeds(curve, notation)}"


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
        f", against {_alone(baseline, found.notation)} of the baseline, trial {found.baseline}, "
        f"on {seeds}; {verdict}"
    )


def _optimism(found: Confirmation) -> str:
    said, best = found.optimism, found.search_best
    if said is None or best is None:
        return (
            "The trial that the search judged best has not every fresh seed, so how optimistic the "
            "search was is not known."
        )
    notation = found.notation
    worse = f"{notation.value(said.worse_by)}{notation.of_difference} worse"
    verdict = worse if said.worse_by > 0 else "no worse"
    n, stated = said.confirmed.n, found.metric.show(said.search_value)
    return (
        f"Of its own best, trial {best.trial_number}, the search had said "
        f"{stated}; {count(n, 'fresh seed')} {'says' if n == 1 else 'say'} "
        f"{_alone(said.confirmed, notation)}, which is {verdict}."
    )


def _stated(metric: Metric, trial: StudyTrial) -> str:
    shown = metric.show(trial.values[0])
    return shown if trial.state == "COMPLETE" else f"{shown} ({STATES[trial.state]})"


def _alone(summary: Summary, notation: Notation) -> str:
    """A mean in a sentence, with its unit."""
    return f"{show_mean(summary, notation)}{notation.unit}"


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"


def _seen_by_seeds(curve: GridCurve, notation: Notation) -> str:
    """What the seeds could have shown."""
    found = curve.finding
    comparisons = [point.comparison for point in curve.points if point.comparison is not None]
    needed = seeds_needed(comparisons[0].paired.n_comparisons + 1)
    if found.n < needed:
        return (
            f"With {found.n} seeds no difference between {found.n_points} points could have been "
            f"shown, however large: that takes {needed} or more."
        )
    said = f"{found.n_worse} of the other {found.n_points - 1} points are distinguishably worse"
    if found.n_points == 2:
        said = f"The other point is {'' if found.n_worse else 'not '}distinguishably worse"
    detectable = [
        each.paired.detectable_difference
        for each in comparisons
        if each.paired.detectable_difference is not None
    ]
    if not detectable:
        return f"{said}."
    return (
        f"{said}; {found.n} seeds would have shown a difference of "
        f"{notation.value(max(detectable))}{notation.of_difference} at any point in 4 of 5 cases."
    )
