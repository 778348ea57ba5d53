"""What a study's figures share: which trials are drawn, in which groups, hover texts and axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    STATE_COLOURS,
    STATE_SYMBOLS,
    count_axis,
    escape,
    shorten,
)
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView
from space import Value
from space.words import STATES, count, number

__all__ = [
    "Drawing",
    "Group",
    "choices",
    "hover",
    "is_log",
    "is_numeric",
    "log_ticks",
    "param_axis",
    "rounded",
    "thinned",
]

N_CATEGORIES = 20
"""An axis names so many choices at the most."""
N_PARAMS = 12
"""A hover text names so many parameters at the most."""
FIGURES = 5
"""Of a number that is drawn."""


class Group(NamedTuple):
    """Trials that are drawn alike."""

    name: str
    """What the legend calls them."""
    trials: list[StudyTrial]
    """At least one."""
    marker: dict[str, Any]
    """Colour, symbol and size."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What every figure of a study is drawn from.

    Attributes:
        view: The study.
        trial_url: Trial number -> address of its page, if there is one.
        max_trials: No figure has points of more trials than these.
    """

    view: StudyView
    trial_url: Callable[[int], str] | None
    max_trials: int

    def by_state(self, trials: Iterable[StudyTrial]) -> list[Group]:
        """Some trials parted by their states."""
        groups = {state: Group(word, [], _marker(state)) for state, word in STATES.items()}
        for trial in trials:
            groups[trial.state].trials.append(trial)
        return [group for group in groups.values() if group.trials]

    def groups(self, trials: Iterable[StudyTrial], *, one_baseline: bool = False) -> list[Group]:
        """Some trials by state, complete ones above others, baselines and the best on top.

        Args:
            trials: The trials.
            one_baseline: Whether only the baseline that counts is drawn as one.
        """
        plain: list[StudyTrial] = []
        numbers = set(self.view.front)
        baseline = {"color": BASELINE_COLOUR, "symbol": "diamond", "size": 11}
        best = {"color": BEST_COLOUR, "symbol": "star", "size": 13}
        front = "best" if len(self.view.metrics) == 1 else "Pareto front"
        special = [Group("baseline", [], baseline), Group(front, [], best)]
        for trial in trials:
            if trial.number in numbers:
                special[1].trials.append(trial)
            else:
                counts = trial == self.view.baseline or not one_baseline
                (special[0].trials if trial.is_baseline and counts else plain).append(trial)
        return [*reversed(self.by_state(plain)), *(group for group in special if group.trials)]

    def points(
        self, group: Group, x: Iterable[float], y: Iterable[float], **changes: Any
    ) -> dict[str, Any]:
        """A group's trials as the points of a trace.

        Args:
            group: The group.
            x: Of each trial.
            y: Of each trial.
            changes: Further settings of the trace.
        """
        return {
            "type": "scatter",
            "mode": "markers",
            "name": group.name,
            "x": rounded(x),
            "y": rounded(y),
            "marker": group.marker,
            "customdata": self.links(group.trials),
            "hovertext": [hover(self.view, trial) for trial in group.trials],
            "hoverinfo": "text",
            **changes,
        }

    def links(self, trials: Iterable[StudyTrial]) -> list[list[Any]]:
        """For each point what a click on it is told: the trial's number and, if any, its page."""
        if self.trial_url is None:
            return [[trial.number] for trial in trials]
        return [[trial.number, self.trial_url(trial.number)] for trial in trials]

    def thin(self, trials: Sequence[StudyTrial], most: int | None = None) -> list[StudyTrial]:
        """At most `max_trials` of some trials; the front, the baselines and records stay."""
        n = self.max_trials if most is None else min(most, self.max_trials)
        return thinned(trials, n, {*self.view.front, *self.view.best_so_far.number_I.tolist()})

    def thinned_note(self, n_drawn: int, n_trials: int, which: str = "trials") -> str:
        """A sentence for a caption that says so where not every trial is drawn; else nothing."""
        if n_drawn >= n_trials:
            return ""
        return f" {n_drawn:,} of {n_trials:,} {which} are drawn, spread evenly."


def _marker(state: str) -> dict[str, Any]:
    size = 8 if state == "COMPLETE" else 6
    return {"color": STATE_COLOURS[state], "symbol": STATE_SYMBOLS[state], "size": size}


def thinned(
    trials: Sequence[StudyTrial], n: int, kept: set[int] | frozenset[int]
) -> list[StudyTrial]:
    """At most n of some trials, in order.

    Args:
        trials: The trials, ascending by number.
        n: How many.
        kept: Numbers of those that stay in any case, as far as there is room, as do baselines.
    """
    if len(trials) <= n:
        return list(trials)
    stay = [t.number for t in trials if t.number in kept or t.is_baseline][:n]
    others = [trial.number for trial in trials if trial.number not in set(stay)]
    picked = np.linspace(0, len(others) - 1, n - len(stay)).round().astype(int)
    chosen = {*stay, *(others[index] for index in picked)}
    return [trial for trial in trials if trial.number in chosen]


def hover(view: StudyView, trial: StudyTrial, only: str | None = None) -> str:
    """A trial's hover text: number, state, values, cost and parameters; escaped.

    Args:
        view: The study.
        trial: The trial.
        only: The one parameter that is named, in a figure that has the trial once for each.
    """
    role = ", baseline" if trial.is_baseline else ""
    lines = [f"<b>trial {trial.number}</b> {STATES[trial.state]}{role}"]
    for metric, value in zip(view.metrics, trial.values, strict=False):
        lines.append(f"{escape(shorten(metric.words))} {metric.show(value)}")
    lines.append(f"{count(trial.n_epochs, 'epoch')}, {trial.seconds:.1f} s")
    if trial.reason is not None:
        lines.append(escape(shorten(trial.reason, 80)))
    params = trial.params if only is None else {only: trial.params[only]}
    for name, param in list(params.items())[:N_PARAMS]:
        lines.append(f"{escape(shorten(name))} {escape(shorten(number(param)))}")
    if len(params) > N_PARAMS:
        lines.append(f"and {len(params) - N_PARAMS} more")
    return "<br>".join(lines)


def rounded(values: Iterable[float]) -> list[float | None]:
    """Numbers with five figures, which no eye can tell from more and a page loads sooner."""
    return [float(f"{value:.{FIGURES}g}") if math.isfinite(value) else None for value in values]


def is_numeric(distribution: BaseDistribution) -> bool:
    """Whether a parameter's values lie on a line."""
    return not isinstance(distribution, CategoricalDistribution)


def choices(trials: Iterable[StudyTrial], name: str) -> list[Value]:
    """The values of a categorical parameter, as they first came up."""
    return list(dict.fromkeys(trial.params[name] for trial in trials if name in trial.params))


def param_axis(distribution: BaseDistribution, values: Sequence[Value]) -> dict[str, Any]:
    """Settings of a parameter's axis.

    Args:
        distribution: What the parameter is drawn from.
        values: What is drawn of it; of a categorical one, its choices at 0, 1, ...
    """
    if not is_numeric(distribution):
        shown = list(values)[:N_CATEGORIES]
        return {
            "tickvals": list(range(len(shown))),
            "ticktext": [escape(shorten(value, 14)) for value in shown],
            "range": [-0.5, len(values) - 0.5],
        }
    numbers = [float(value) for value in values]
    if not is_log(distribution) or not numbers:
        is_count = isinstance(distribution, IntDistribution) and numbers
        whole = count_axis(min(numbers), max(numbers)) if is_count else {}
        return {"type": "linear", "nticks": 6, **whole}
    ticks = log_ticks(min(numbers), max(numbers))
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def log_ticks(low: float, high: float) -> list[float]:
    """Few round numbers between two positive ones: powers of ten, and more where these are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    n_decades = math.log10(high / low)
    steps = (1, 2, 5) if n_decades < 1 else (1, 3) if n_decades < 2 else (1,)
    ticks = [float(f"{step}e{power}") for power in decades for step in steps]
    within = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    return within[:: 1 + len(within) // 6] or [low, high]


def is_log(distribution: BaseDistribution) -> bool:
    """Whether a parameter is searched on a logarithmic scale."""
    return isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log
