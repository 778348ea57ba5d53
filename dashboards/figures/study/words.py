"""What a study's figures share: axes with units, hover texts, links, and which trials are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dashboards.figures.counts import count_axis
from dashboards.figures.template import escape, number, shorten
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView
from space import Value
from space.terminal.counts import count

__all__ = [
    "Drawing",
    "choices",
    "hover",
    "is_log",
    "is_numeric",
    "log_ticks",
    "metric_axis",
    "metric_title",
    "metric_value",
    "param_axis",
    "rounded",
    "state_word",
    "thinned",
]

METRIC_TITLES = {
    "val_error": "validation error (% of pairs)",
    "train_error": "training error (% of pairs)",
    "val_loss": "validation loss (nats)",
    "train_loss": "training loss (nats)",
    "train_seconds": "training time (s)",
    "n_parameters": "trainable parameters",
}
N_CATEGORIES = 20
"""An axis names so many choices at the most."""
N_PARAMS = 12
"""A hover text names so many parameters at the most."""
DIGITS = 5


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

    def links(self, trials: Iterable[StudyTrial]) -> list[list[Any]]:
        """For each point what a click on it is told: the trial's number and, if any, its page."""
        return [self.link(trial.number) for trial in trials]

    def link(self, trial_number: int) -> list[Any]:
        """What a click on a trial's point is told."""
        if self.trial_url is None:
            return [trial_number]
        return [trial_number, self.trial_url(trial_number)]

    def hovers(self, trials: Iterable[StudyTrial]) -> list[str]:
        """For each trial its hover text."""
        return [hover(self.view, trial) for trial in trials]

    def thin(self, trials: Sequence[StudyTrial], most: int | None = None) -> list[StudyTrial]:
        """At most `max_trials` of some trials; the front, the baselines and records stay."""
        n = self.max_trials if most is None else min(most, self.max_trials)
        return thinned(trials, n, {*self.view.front, *self.view.best_so_far.number_I.tolist()})

    def thinned_note(self, n_drawn: int, n_trials: int, which: str = "trials") -> str:
        """A sentence for a caption that says so where not every trial is drawn; else nothing."""
        if n_drawn >= n_trials:
            return ""
        return f" {n_drawn:,} of {n_trials:,} {which} are drawn, spread evenly."


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


def metric_axis(metric: str) -> dict[str, Any]:
    """Settings of an objective's axis: errors are fractions in the store and per cent here."""
    title = {"text": metric_title(metric)}
    return {"title": title, "tickformat": ".1~%"} if _is_error(metric) else {"title": title}


def metric_value(metric: str, value: float) -> str:
    """An objective's value as people read it."""
    return f"{100 * value:.4g} %" if _is_error(metric) else number(value)


def _is_error(metric: str) -> bool:
    return metric in ("val_error", "train_error")


def metric_title(metric: str) -> str:
    """What an axis calls an objective, with its unit; escaped."""
    return METRIC_TITLES.get(metric) or escape(shorten(metric))


def state_word(state: str) -> str:
    """What people call a state."""
    return {"FAIL": "failed"}.get(state, state.lower())


def hover(view: StudyView, trial: StudyTrial, only: str | None = None) -> str:
    """A trial's hover text: number, state, values, cost and parameters; escaped.

    Args:
        view: The study.
        trial: The trial.
        only: The one parameter that is named, in a figure that has the trial once for each.
    """
    role = ", baseline" if trial.is_baseline else ""
    lines = [f"<b>trial {trial.number}</b> {state_word(trial.state)}{role}"]
    for metric, value in zip(view.metrics, trial.values, strict=False):
        lines.append(f"{escape(shorten(metric))} {metric_value(metric, value)}")
    lines.append(f"{count(trial.n_epochs, 'epoch')}, {trial.seconds:.1f} s")
    if trial.reason is not None:
        lines.append(escape(shorten(trial.reason, 80)))
    params = trial.params if only is None else {only: trial.params[only]}
    for name, param in list(params.items())[:N_PARAMS]:
        shown = number(param) if isinstance(param, float) else escape(shorten(param))
        lines.append(f"{escape(shorten(name))} {shown}")
    if len(params) > N_PARAMS:
        lines.append(f"and {len(params) - N_PARAMS} more")
    return "<br>".join(lines)


def rounded(values: Iterable[float]) -> list[float | None]:
    """Numbers with five digits, which no eye can tell from more and a page loads sooner."""
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]


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
