"""The confirmation as it is printed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dashboards.numbers.confirmation import Confirmation
from dashboards.numbers.statistics import summarise
from dashboards.numbers.verdicts import Comparison
from dashboards.story import confirmation_outcome
from space.terminal.printing import say, say_table
from space.words import number

__all__ = ["confirmation_as_json", "print_confirmation"]


def print_confirmation(found: Confirmation) -> None:
    """Print the confirmed trials, the verdict on the winner and what to bear in mind of it."""
    rows = []
    for trial in found.trials:
        role = "winner" if trial is found.winner else ""
        if trial.trial_number == found.baseline:
            role = f"{role}, baseline".lstrip(", ")
        comparison = found.comparisons.get(trial.trial_number)
        confirmed = summarise(trial.values)
        rows.append(
            (
                role,
                str(trial.trial_number),
                number(trial.search_value),
                number(confirmed.mean) + _spread(confirmed.std),
                str(len(trial.values)),
                "" if comparison is None else _beside(comparison),
            )
        )
    say()
    say("confirmed on fresh seeds:")
    say_table(
        (
            "",
            "trial",
            f"searched {found.metric}",
            "confirmed mean ± std",
            "seeds",
            "beside the baseline",
        ),
        rows,
        left=frozenset({0, 5}),
        n_keys=2,
    )
    if found.seeds_needed is not None:
        say(
            "so few seeds can show no difference from the baseline, however large: that takes "
            f"{found.seeds_needed}"
        )
    say(confirmation_outcome(found))


def _spread(std: float | None) -> str:
    return "" if std is None else f" ± {std:.2g}"


def _beside(comparison: Comparison) -> str:
    # A difference that is zero on paper may be a rounding error away from it.
    return f"{round(comparison.paired.mean_difference, 6):+.4g}, {comparison.verdict}"


def confirmation_as_json(found: Confirmation | None) -> Any:
    """The confirmation for `--format json`."""
    if found is None:
        return None
    return {
        "metric": found.metric,
        "winner": found.winner.trial_number,
        "baseline": found.baseline,
        "optimism": None if found.optimism is None else asdict(found.optimism),
        "search_best": None if found.search_best is None else found.search_best.trial_number,
        "failed": found.failed,
        "trials": [asdict(trial) for trial in found.trials],
        "comparisons": {number: asdict(each) for number, each in found.comparisons.items()},
    }
