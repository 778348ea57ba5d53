"""Words for the numbers of `means`: better, worse or equivalent, consistent, and how optimistic.

A comparison has one of three answers, or none. "better" and "worse": chance is ruled out as what
made the difference. "equivalent": it is shown that the true difference, to whichever side, is below
the margin that was given; this counts where both are shown, since whoever gave the margin said that
less than it does not matter. "undecided" is all else, and every comparison of few seeds. Without a
margin equivalence is not asked, and never the answer. Either question has an error rate of its own:
at most 5 % of the tables in which no config differs from the reference call any better or worse,
and at most 5 % of those in which all differ by the margin call any equivalent.

How to read an interval beside a verdict. The interval says how large the difference may be, of one
comparison alone: it leaves zero out just where the comparison's own p-value is at most 5 %. The
verdict says whether chance is ruled out with every comparison of the table counted, so "better" and
"worse" are only said where the interval, too, lies wholly on one side of zero. An interval that
leaves zero out beside "undecided with n seeds" is no contradiction but a reason to run more seeds,
and `detectable_difference` says what these could have shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import scipy
from numpy.typing import ArrayLike

from dashboards.statistics.means import (
    PairedComparison,
    Summary,
    compare_paired,
    holm,
    summarise,
)
from dashboards.statistics.sign_flips import Interval
from space.words import count

__all__ = [
    "Answer",
    "Comparison",
    "Optimism",
    "ReportComparison",
    "answer",
    "compare_all",
    "compare_to_report",
    "optimism",
    "seeds_needed",
]

Answer = Literal["better", "worse", "equivalent", "undecided", "not ranked"]

ALPHA = 0.05
"""The level of the verdicts: how often one may be wrong where there is no difference."""
FEWEST_FOR_REPORT = 5
"""With fewer of our runs beside reported ones Welch's test is wrong more often than it says (with
2, in 10 % of the cases), as ``tests/benchmarks/statistics/verdict_calibration.py`` shows."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One config of a benchmark against the reference.

    Attributes:
        name: The config.
        reference: The config that it is compared with.
        seeds: The seeds that both have, ascending; only these are compared.
        paired: The comparison's numbers.
        adjusted_p_value: The p-value, Holm-corrected for all comparisons of the benchmark.
        adjusted_equivalence_p_value: Likewise of equivalence; None where no margin was given.
        answer: What is shown; "not ranked" where it would be said of failures (see `compare_all`).
        verdict: The answer with what it lacks: "undecided with n seeds", "undecided with n seeds,
            needs m" where so few can show nothing, "not ranked: failed on n seeds".
    """

    name: str
    reference: str
    seeds: tuple[int, ...]
    paired: PairedComparison
    adjusted_p_value: float
    adjusted_equivalence_p_value: float | None
    answer: Answer
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ReportComparison:
    """Our mean beside a reported one.

    Attributes:
        difference: Our mean minus the reported one.
        interval: Its Welch interval; of a share within -1 and 1.
        p_value: Two-sided, of Welch's t test.
        degrees_of_freedom: Of the Welch-Satterthwaite approximation.
        confidence: Level of the interval.
        verdict: "consistent" where the interval holds zero, else "not consistent". Consistent means
            that no difference was shown; the interval says how large a one remains possible.
    """

    difference: float
    interval: Interval
    p_value: float
    degrees_of_freedom: float
    confidence: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Optimism:
    """How much better a search's winner looked in the search than on fresh seeds.

    Attributes:
        search_value: The value that the search reported for its winner.
        confirmed: The same config's values on fresh seeds.
        worse_by: How much worse the confirmed mean is: positive where the search was optimistic.
    """

    search_value: float
    confirmed: Summary
    worse_by: float


def answer(
    comparison: PairedComparison,
    adjusted_p_value: float,
    adjusted_equivalence_p_value: float | None = None,
    *,
    maximize: bool = False,
) -> Answer:
    """What a comparison shows. The module's docstring says how to read it.

    Args:
        comparison: The comparison.
        adjusted_p_value: Its p-value, corrected for the family, in [0, 1].
        adjusted_equivalence_p_value: That of equivalence, likewise; None where it has none.
        maximize: Whether higher values are better, not lower ones.

    Returns:
        "equivalent" where the adjusted p-value of equivalence is at most ``1 -
        comparison.confidence``, else "better" or "worse" where the other is, else "undecided".

    Raises:
        ValueError: If an adjusted p-value is below the comparison's own, or above 1.
    """
    _check_adjusted(comparison.p_value, adjusted_p_value)
    if comparison.equivalence_p_value is not None and adjusted_equivalence_p_value is not None:
        _check_adjusted(comparison.equivalence_p_value, adjusted_equivalence_p_value)
        if adjusted_equivalence_p_value <= 1 - comparison.confidence:
            return "equivalent"
    if adjusted_p_value > 1 - comparison.confidence:
        return "undecided"
    return "better" if (comparison.mean_difference > 0) == maximize else "worse"


def _check_adjusted(raw: float, adjusted: float) -> None:
    if not raw <= adjusted <= 1:
        raise ValueError(
            f"an adjusted p-value of {adjusted} does not lie between the raw one, {raw}, and 1"
        )


def compare_all(
    results: Mapping[str, Mapping[int, float]],
    reference: str,
    *,
    failed: Mapping[str, int] | None = None,
    margin: float | None = None,
    is_raced: bool = False,
    maximize: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Comparison]:
    """Compare every config of a benchmark with the reference.

    Each config is paired with the reference on the seeds that both have, so an unfinished benchmark
    can be compared too. The p-values are Holm-corrected over all configs but the reference, those
    that have nothing to compare yet among them: what is shown is no less so once they are trained.

    Args:
        results: For each config its values by seed, finite; none where it has no result yet. The
            order is kept.
        reference: The name of the config to compare with.
        failed: Of each config, on how many seeds it failed, if on any. The seeds that are left say
            nothing of those, so neither side is called the better one, or as good as the other, if
            it failed elsewhere: the verdict is then "not ranked: failed on n seeds", or "not
            ranked: the reference failed on n seeds".
        margin: The margin of practical equivalence, above 0; None asks for no equivalence.
        is_raced: Whether seeds were added, in ascending order, until there was an answer.
        maximize: Whether higher values are better, not lower ones.
        confidence: Level of the intervals, in (0, 1); verdicts are at level ``1 - confidence``.
        seed: Seed of the random sign patterns beyond 13 seeds.

    Returns:
        A comparison for each config but the reference that has 2 seeds or more in common with it.

    Raises:
        ValueError: If the reference is not among the results, or a value that is compared is not
            finite.
    """
    if reference not in results:
        raise ValueError(
            f"the reference '{reference}' is not among the results: {', '.join(results) or 'none'}"
        )
    others = [name for name in results if name != reference]
    shared = {name: _common_seeds(results, name, reference) for name in others}
    seeds = {name: common for name, common in shared.items() if len(common) >= 2}
    names, pending = list(seeds), [1.0] * (len(others) - len(seeds))
    paired = {
        name: compare_paired(
            [results[name][seed] for seed in seeds[name]],
            [results[reference][seed] for seed in seeds[name]],
            confidence=confidence,
            maximize=maximize,
            n_comparisons=len(others),
            margin=margin,
            is_raced=is_raced,
            seed=seed,
        )
        for name in names
    }
    adjusted = holm([each.p_value for each in paired.values()] + pending)
    equivalence = holm(
        [
            each.equivalence_p_value
            for each in paired.values()
            if each.equivalence_p_value is not None
        ]
        + pending
    )
    found = []
    for place, name in enumerate(names):
        p_value = float(adjusted[place])
        equivalence_p_value = None if margin is None else float(equivalence[place])
        shown = answer(paired[name], p_value, equivalence_p_value, maximize=maximize)
        verdict: str = shown
        if shown == "undecided":
            n, needed = paired[name].n, seeds_needed(len(results), margin=margin)
            verdict += f" with {count(n, 'seed')}" + (f", needs {needed}" if n < needed else "")
        sides = {"better": (name,), "worse": (reference,), "equivalent": (name, reference)}
        failing = [side for side in sides.get(shown, ()) if (failed or {}).get(side)]
        if failed and failing:
            which = "the reference " if failing[0] == reference else ""
            shown = "not ranked"
            verdict = f"not ranked: {which}failed on {count(failed[failing[0]], 'seed')}"
        found.append(
            Comparison(
                name=name,
                reference=reference,
                seeds=seeds[name],
                paired=paired[name],
                adjusted_p_value=p_value,
                adjusted_equivalence_p_value=equivalence_p_value,
                answer=shown,
                verdict=verdict,
            )
        )
    return found


def compare_to_report(
    ours: Summary,
    *,
    mean: float,
    std: float,
    n: int,
    is_share: bool = False,
    n_fresh: int | None = None,
    confidence: float = 0.95,
) -> ReportComparison:
    """Compare our mean with a reported mean ± std by Welch's test, from summaries alone.

    A few runs may scatter by luck less than they can: shares of B fresh samples a run have at least
    the variance of B draws, ``mean * (1 - mean) / B``. Where B is given, either side's variance is
    taken to be no less.

    Args:
        ours: The values of our runs; at least 2 runs.
        mean: The reported mean.
        std: The reported standard deviation, at least 0, taken to be with ddof 1.
        n: The reported number of runs, at least 2.
        is_share: Whether the values are shares, from 0 to 1.
        n_fresh: The samples that a share is of, where each run, reported or ours, draws them afresh
            and neither trains on them nor is chosen by them: test samples. None where there are no
            such.
        confidence: Level of the interval, in (0, 1).

    Returns:
        The difference, its interval and the verdict.

    Raises:
        ValueError: If either side has fewer than 2 runs, a number is out of range, or neither side
            scatters, so that there is nothing to judge the difference by.

    Source:
        Welch, The Generalization of Student's Problem when Several Different Population Variances
        are Involved, Biometrika 34, 1947; degrees of freedom: Satterthwaite, Biometrics 2(6), 1946.
    """
    if ours.std is None or n < 2:
        raise ValueError(
            "a comparison with a report needs at least 2 runs on both sides, "
            f"not {ours.n} of ours and {n} reported"
        )
    if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
        raise ValueError(f"the reported {mean} ± {std} is no mean and standard deviation")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, but lies between 0 and 1")
    stds = [
        given if n_fresh is None else max(given, math.sqrt(share * (1 - share) / n_fresh))
        for given, share in ((ours.std, ours.mean), (std, mean))
    ]
    ours_squared_error, reported_squared_error = stds[0] ** 2 / ours.n, stds[1] ** 2 / n
    squared_error = ours_squared_error + reported_squared_error
    if squared_error == 0:
        raise ValueError("neither our runs nor the reported ones scatter: there is no interval")
    degrees_of_freedom = squared_error**2 / (
        ours_squared_error**2 / (ours.n - 1) + reported_squared_error**2 / (n - 1)
    )
    difference = ours.mean - mean
    quantile = float(scipy.stats.t.ppf((1 + confidence) / 2, degrees_of_freedom))
    half_width = quantile * math.sqrt(squared_error)
    widest = 1.0 if is_share else math.inf
    test = scipy.stats.ttest_ind_from_stats(
        ours.mean, stds[0], ours.n, mean, stds[1], n, equal_var=False
    )
    return ReportComparison(
        difference=difference,
        interval=Interval(
            max(difference - half_width, -widest), min(difference + half_width, widest)
        ),
        p_value=float(test.pvalue),
        degrees_of_freedom=degrees_of_freedom,
        confidence=confidence,
        verdict="consistent" if abs(difference) <= half_width else "not consistent",
    )


def seeds_needed(n_configs: int, *, margin: float | None = None) -> int:
    """The fewest seeds with which any of some configs could have an answer.

    The smallest p-value of a paired test, raced or not, is 2 / 2**n, that of equivalence half of
    it, and Holm's correction asks at its strictest for 0.05 divided by the number of comparisons.

    Args:
        n_configs: The configs, the reference included; at least 2.
        margin: The margin of practical equivalence, if one was given.
    """
    for_equivalence = math.ceil(math.log2((n_configs - 1) / ALPHA))
    return for_equivalence + (1 if margin is None else 0)


def optimism(
    search_value: float, confirmed_values_R: ArrayLike, *, maximize: bool = False
) -> Optimism:
    """Compare what a search reported for its winner with the winner's values on fresh seeds.

    Args:
        search_value: The value by which the winner was picked, finite.
        confirmed_values_R: Its values on R fresh seeds, shape (R,), finite, R at least 1.
        maximize: Whether higher values are better, not lower ones.

    Returns:
        Both, and the difference.

    Raises:
        ValueError: If a number is not finite, or none was confirmed.
    """
    if not math.isfinite(search_value):
        raise ValueError(f"the search's value is {search_value}, but must be finite")
    confirmed = summarise(confirmed_values_R)
    return Optimism(
        search_value=search_value,
        confirmed=confirmed,
        worse_by=(search_value - confirmed.mean) if maximize else (confirmed.mean - search_value),
    )


def _common_seeds(
    results: Mapping[str, Mapping[int, float]], name: str, reference: str
) -> tuple[int, ...]:
    seeds = tuple(sorted(results[name].keys() & results[reference].keys()))
    for config in (name, reference):
        for shared in seeds:
            if not math.isfinite(results[config][shared]):
                raise ValueError(f"'{config}' has no finite value for seed {shared}")
    return seeds
