"""What a page begins with: one sentence, what it rests on, what it lacks.

What fresh seeds say leads. What a search says of its own best is told aside: the best of many is
partly luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.tables import BenchmarkTable, Row
from dashboards.statistics.means import Summary, summarise
from dashboards.statistics.verdicts import Comparison, seeds_needed
from dashboards.words import show_mean
from space.metrics import Metric
from space.notation import Notation
from space.words import count, joined, with_article
from storage.summaries.confirmed import ConfirmedTrial

__all__ = [
    "Headline",
    "Side",
    "benchmark_headline",
    "confirmed_headline",
    "front_headline",
    "unconfirmed_headline",
]

_BESIDE = {
    "better": "better than",
    "worse": "worse than",
    "equivalent": "equivalent to",
    "undecided": "not distinguishable from",
    "not ranked": "not ranked beside",
}
"""What a comparison shows -> the words between the two that are compared."""
_NO_MORE_SEEDS = (
    "Seeds added to these after a look would make chance look like a difference: a firmer answer "
    "takes a benchmark on fresh seeds, or one --until-decided."
)
_LARGER_RACE = "The same command goes on as fairly, with a larger --max-seeds once all are trained."


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two that are compared, seed by seed.

    Attributes:
        name: What it is called.
        is_reference: Whether the other is compared with it.
        values: What is measured on each seed; at least one.
    """

    name: str
    is_reference: bool
    values: tuple[float, ...]

    @property
    def summary(self) -> Summary:
        """Mean, spread and interval over the seeds."""
        return summarise(self.values)


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What a study or a benchmark says so far.

    Attributes:
        badge: What is shown, in a word or two.
        sentence: The same with its values.
        aside: What the search itself says, and what not to do next; empty where there is nothing to
            tell.
        lacking: What is missing for a firmer one; empty where nothing is.
        seeds: So many seeds of each would make it firmer; None where seeds are not what is missing.
        sides: The reference and the best, to be drawn; empty where there are no two.
        notation: How the values are written.
    """

    badge: str
    sentence: str
    aside: str = ""
    lacking: str = ""
    seeds: int | None = None
    sides: tuple[Side, ...] = ()
    notation: Notation


def confirmed_headline(found: Confirmation) -> Headline:
    """What fresh seeds say of a search's winner, beside the baseline."""
    winner, notation = found.winner, found.notation
    n = len(winner.values)
    has = f"On {count(n, 'fresh seed')} trial {winner.trial_number} has "
    has += f"{with_article(found.metric.words)} of {_of(summarise(winner.values), notation)}"
    baseline = next((t for t in found.trials if t.trial_number == found.baseline), None)
    aside = _search_said(found)
    if baseline is None:
        return Headline(
            badge="confirmed",
            sentence=f"{has}; there is no confirmed baseline to compare it with.",
            aside=aside,
            notation=notation,
        )
    if baseline is winner:
        badge, none_is = "no trial beats the baseline", "no other trial does better"
        others = [trial for trial in found.trials if trial is not winner][:1]
        if found.failed:  # Those that lack a seed are not ranked, but may do better.
            badge, none_is = "not compared", "no other trial has every fresh seed"
            if others:
                badge = "the baseline is ranked first"
                none_is = "no other trial with every fresh seed does better"
        return Headline(
            badge=badge,
            sentence=f"{has}. That is the baseline itself: {none_is}.",
            aside=aside,
            sides=_sides(winner, others, found.baseline),
            notation=notation,
        )
    compared = found.comparisons.get(winner.trial_number)
    badge = "undecided" if compared is None else compared.answer
    against = _of(summarise(baseline.values), notation)
    lacking, seeds = "", None
    if found.seeds_needed is not None:
        seeds = found.seeds_needed
        lacking = _too_few(seeds)
    elif badge == "undecided":
        aside += f" {_NO_MORE_SEEDS}"
    return Headline(
        badge=badge,
        sentence=f"{has}: {_BESIDE[badge]} the baseline's {against}{_within(compared, notation)}.",
        aside=aside,
        lacking=lacking,
        seeds=seeds,
        sides=_sides(winner, [baseline], found.baseline),
        notation=notation,
    )


def unconfirmed_headline(
    metric: Metric, *, best: float | None, baseline: float | None, n_complete: int
) -> Headline:
    """What a search says of itself before any fresh seed.

    Args:
        metric: The first objective.
        best: Its best value among complete trials.
        baseline: The baseline's.
        n_complete: The complete trials.
    """
    notation = metric.notation([best, baseline])
    if best is None:
        sentence = "No trial is complete yet."
        return Headline(badge="no answer yet", sentence=sentence, notation=notation)
    said = f"The search's own best {metric.words} is {notation.value(best)}{notation.unit}"
    said += f", the best of {count(n_complete, 'complete trial')} and so partly luck"
    if baseline is not None:
        said += f"; the baseline has {notation.value(baseline)}{notation.unit}"
    return Headline(
        badge="not confirmed",
        sentence="No trial is confirmed on fresh seeds yet.",
        aside=f"{said}.",
        lacking="Fresh seeds tell a gain from luck.",
        notation=notation,
    )


def front_headline(metrics: Sequence[Metric], n_front: int | None) -> Headline:
    """What a search for a trade-off says.

    Args:
        metrics: The objectives, two or more.
        n_front: The trials on the front; None where it is not known.
    """
    words = joined(metric.words for metric in metrics)
    if n_front is None:
        sentence = f"A trade-off between {words}: the front is on the study's page."
    elif n_front:
        are = "trial is" if n_front == 1 else "trials are"
        sentence = f"{n_front} {are} on the front of {words}: no other is as good in all of them "
        sentence += "and better in one."
    else:
        sentence = "No trial is complete yet."
    badge = "no answer yet" if n_front == 0 else "trade-off"
    return Headline(badge=badge, sentence=sentence, notation=metrics[0].notation([]))


def benchmark_headline(table: BenchmarkTable) -> Headline:
    """What a benchmark says of its best config, beside the reference."""
    metric, notation = table.metric, table.notation()
    reference, best = table.row(table.reference), table.best
    lacking = _without_result(table)
    better = [row for row in table.rows if row.comparison and row.comparison.answer == "better"]
    if better and best not in better:
        return _better_headline(table, better, lacking)
    if best is None or metric.name not in best.means:
        return Headline(
            badge="no answer yet",
            sentence="No two configs have the same seeds yet."
            if any(row.n for row in table.rows)
            else "No run has finished yet.",
            lacking=lacking,
            notation=notation,
        )
    has = _has(table, best, best.means[metric.name])
    others = [row for row in table.ranked if row is not best]
    if not others:
        return Headline(badge="measured", sentence=f"{has}.", lacking=lacking, notation=notation)
    if best is reference:
        ranked = "config" if len(table.ranked) == len(table.rows) else "config with as many seeds"
        return Headline(
            badge="none beats the reference",
            sentence=f"{has}. That is the reference itself: no other {ranked} does better.",
            lacking=lacking,
            sides=_rows(metric, [best, others[0]], table.reference),
            notation=notation,
        )
    compared = best.comparison
    badge = "undecided" if compared is None else compared.answer
    mean = reference.means.get(metric.name)
    if mean is None:
        return Headline(badge=badge, sentence=f"{has}.", lacking=lacking, notation=notation)
    aside, seeds = "", None
    if compared is not None and badge == "undecided" and not lacking:
        needed = seeds_needed(compared.paired.n_comparisons + 1, margin=compared.paired.margin)
        if best.n < needed:
            lacking, seeds = _too_few(needed), needed
        else:
            aside = _LARGER_RACE if table.is_raced else _NO_MORE_SEEDS
    return Headline(
        badge=badge,
        sentence=f"{has}: {_BESIDE[badge]} {table.reference}'s "
        f"{_of(mean, notation)}{_within(compared, notation)}.",
        aside=aside,
        lacking=lacking,
        seeds=seeds,
        sides=_rows(metric, [reference, best], table.reference),
        notation=notation,
    )


def _better_headline(table: BenchmarkTable, better: Sequence[Row], lacking: str) -> Headline:
    """Of configs that are shown to be better without every seed, as in a race that they ended
    early: the one that is so by most, on the seeds that it shares with the reference."""
    metric, notation = table.metric, table.notation()
    found = [(row, row.comparison) for row in better if row.comparison is not None]
    row, compared = min(found, key=lambda each: metric.rank(each[1].paired.mean_difference))
    reference, own = _rows(metric, [table.row(table.reference), row], table.reference, compared)
    return Headline(
        badge="better",
        sentence=f"{_has(table, row, own.summary)}: {_BESIDE['better']} {table.reference}'s "
        f"{_of(reference.summary, notation)} on the same ones.",
        lacking=lacking,
        sides=(reference, own),
        notation=notation,
    )


def _has(table: BenchmarkTable, row: Row, summary: Summary) -> str:
    # Of runs that were trained elsewhere nobody said what they were evaluated on.
    where = " of the test split" if table.measured.kept_by else ""
    return (
        f"On {count(summary.n, 'seed')}{where} {row.name} has "
        f"{with_article(table.metric.words)} of {_of(summary, table.notation())}"
    )


def _without_result(table: BenchmarkTable) -> str:
    """How many runs have no result, and why."""
    n_failed = sum(len(row.result.failed) for row in table.rows)
    n_missing = sum(len(row.result.missing) for row in table.rows) - n_failed
    said = [f"{count(n_missing, 'run')} still to be trained"] if n_missing else []
    said += [f"{count(n_failed, 'run')} failed"] if n_failed else []
    return f"{joined(said)}." if said else ""


def _too_few(needed: int) -> str:
    return f"So few seeds can show no difference, however large: that takes {needed}."


def _search_said(found: Confirmation) -> str:
    """What the search had said of the winner, and of its own best where that is another."""
    winner, best, show = found.winner, found.search_best, found.metric.show
    said = f"The search had said {show(winner.search_value)} of it"
    if best is None or best is winner:
        return f"{said}."
    return f"{said}, and {show(best.search_value)} of its own best, trial {best.trial_number}."


def _within(compared: Comparison | None, notation: Notation) -> str:
    """The margin of an equivalence."""
    if compared is None or compared.answer != "equivalent" or compared.paired.margin is None:
        return ""
    margin = notation.quoted(compared.paired.margin)
    return f", within {margin}{notation.of_difference}"


def _of(summary: Summary, notation: Notation) -> str:
    return f"{show_mean(summary, notation)}{notation.unit}"


def _sides(
    winner: ConfirmedTrial, others: Sequence[ConfirmedTrial], baseline: int | None
) -> tuple[Side, ...]:
    return tuple(
        Side(
            name=f"trial {trial.trial_number}"
            + (", the baseline" if trial.trial_number == baseline else ""),
            is_reference=trial.trial_number == baseline,
            values=trial.values,
        )
        for trial in sorted((*others, winner), key=lambda trial: trial.trial_number != baseline)
    )


def _rows(
    metric: Metric, rows: Sequence[Row], reference: str, compared: Comparison | None = None
) -> tuple[Side, ...]:
    """Some rows, on the seeds of a comparison alone where one is given."""
    return tuple(
        Side(
            name=row.name + (", the reference" if row.name == reference else ""),
            is_reference=row.name == reference,
            values=tuple(
                value
                for seed, value in row.result.by_seed(metric.name).items()
                if compared is None or seed in compared.seeds
            ),
        )
        for row in rows
    )
