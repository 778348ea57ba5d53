"""A study's tables: what was searched, on which terms, what was found, what fresh seeds say."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.distributions import BaseDistribution, CategoricalDistribution

from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView
from dashboards.statistics.means import summarise
from dashboards.tables.drawing import Sheet
from dashboards.words import kept_epoch_note, show_interval, show_mean
from space import CategoricalParameter, Condition, Parameter, Space, Value, format_duration
from space.config import ELSEWHERE, SEED_KEYS
from space.messages import listed
from space.metrics import Metric
from space.study.identity import flat
from space.study.own import title
from space.words import NOTHING, count, number
from storage.summaries.best import best_first

__all__ = [
    "best_sheet",
    "best_trials",
    "confirmation_sheet",
    "space_sheet",
    "terms_sheet",
]

_REPORTS = "a pruned or failed trial's value is the last that it reported"


def space_sheet(view: StudyView) -> Sheet:
    """What is searched: each parameter's values, scale and condition."""
    rows = (
        [_searched(name, parameter) for name, parameter in view.space.parameters.items()]
        if view.space is not None
        else [_drawn(name, each) for name, each in view.distributions.items()]
    )
    baseline = view.baseline.params if view.baseline is not None else {}
    return Sheet(
        columns=("parameter", "values", "scale", "only where", "baseline"),
        left=frozenset({0, 1, 2, 3}),
        rows=[(*row, number(baseline.get(row[0], NOTHING))) for row in rows],
    )


def terms_sheet(space: Space) -> Sheet:
    """The terms of a search: network, data, sampler, pruner, budget.

    What is searched is in `space_sheet`, and only named here.
    """
    budget = space.budget
    limits = [] if budget.trials is None else [count(budget.trials, "trial")]
    limits += [] if budget.epochs is None else [count(budget.epochs, "epoch")]
    limits += (
        [] if budget.time_limit is None else [f"{format_duration(budget.time_limit)} a launch"]
    )
    rungs = ", ".join(str(rung) for rung in space.rungs())
    rows = [
        ("trained", space.what),
        *_fixed(space),
        ("seeds a trial", str(space.replicates)),
        ("sampler", f"{title(space.sampler)}, seed {space.sampler.seed}"),
        ("pruner", f"{space.pruner.name}, rungs at {rungs}" if rungs else title(space.pruner)),
        *_warm_start(space),
        ("budget", ", ".join(limits)),
        (
            "confirmation",
            f"the best {space.confirm.top} on {space.confirm.seeds} fresh seeds"
            if space.confirm.top
            else "none",
        ),
    ]
    return Sheet(columns=("setting", "value"), left=frozenset({0, 1}), rows=rows)


def _warm_start(space: Space) -> list[tuple[str, str]]:
    start = space.warm_start
    return [] if start is None else [("warm start", f"the best {start.top} of '{start.study}'")]


def _fixed(space: Space) -> list[tuple[str, str]]:
    """The settings that no trial changes, a row a section."""
    searched = set(space.parameter_paths.values())
    rows: dict[str, list[str]] = {}
    for path, value in flat(space.config.model_dump(mode="json")):
        section, _, name = path.partition(".")
        if name and path not in (*searched, *ELSEWHERE, *SEED_KEYS) and value is not None:
            rows.setdefault(section, []).append(f"{name} {listed([value])}")
    return [(section, ", ".join(settings)) for section, settings in rows.items()]


def best_trials(view: StudyView, n: int) -> list[StudyTrial]:
    """The n best complete trials (of several objectives: of the Pareto front), and two more.

    Args:
        view: The study.
        n: How many at the most, these two not counted.

    Returns:
        The best ones, then the winner on fresh seeds and the baseline, where they are others.
    """
    complete = [trial for trial in view.trials if trial.state == "COMPLETE"]
    if len(view.metrics) > 1:
        complete = [trial for trial in complete if trial.number in view.front]
    found = best_first(complete, view.metrics[0])[:n]
    winner = None if view.confirmation is None else view.confirmation.winner.trial_number
    also = [trial for trial in view.trials if trial.number == winner]
    also += [] if view.baseline is None else [view.baseline]
    for trial in also:
        if trial not in found:
            found.append(trial)
    return found


def best_sheet(view: StudyView, n: int = 5) -> Sheet:
    """The best trials beside the baseline, a column a trial."""
    trials = best_trials(view, n)
    rows = [
        ["state", *(trial.state.lower() for trial in trials)],
        *(
            [metric.heading, *_objectives(trials, place, metric)]
            for place, metric in enumerate(view.metrics)
        ),
        [view.steps, *(str(trial.n_epochs) for trial in trials)],
        *(
            [["training time (s)", *(f"{trial.seconds:.1f}" for trial in trials)]]
            if view.is_ours
            else []
        ),
        *(
            [name, *(number(trial.params.get(name, NOTHING)) for trial in trials)]
            for name in view.distributions
        ),
    ]
    return Sheet(
        columns=("", *(_heading(view, trial) for trial in trials)),
        rows=rows,
        notes=[
            *kept_epoch_note(view.measured, (each.name for each in view.metrics), view.selections),
            *([_REPORTS] if any(trial.state != "COMPLETE" for trial in trials) else []),
        ],
    )


def confirmation_sheet(found: Confirmation) -> Sheet:
    """The confirmed trials on fresh seeds, best first, beside what the search said of them.

    Args:
        found: The confirmation.
    """
    rows, notation = [], found.notation
    for trial in found.trials:
        compared = found.comparisons.get(trial.trial_number)
        summary = summarise(trial.values)
        roles = ["winner"] if trial is found.winner else []
        roles += ["baseline"] if trial.trial_number == found.baseline else []
        rows.append(
            (
                f"trial {trial.trial_number}",
                ", ".join(roles) or NOTHING,
                notation.value(trial.search_value) + (" (pruned)" if trial.was_pruned else ""),
                show_mean(summary, notation),
                show_interval(summary.interval, notation),
                str(summary.n),
                NOTHING if compared is None else notation.signed(compared.paired.mean_difference),
                NOTHING if compared is None else compared.verdict,
            )
        )
    notes = [
        f"{found.metric.heading}: mean ± standard deviation (ddof 1) over n seeds that the "
        "search never saw",
        "the 95 % interval of a mean is what a sign-flip test does not reject, which assumes "
        "values that are symmetric about it; - for fewer than 6 seeds or where all are equal",
    ]
    notes += kept_epoch_note(
        found.measured, [found.metric.name], {trial.selection for trial in found.trials}
    )
    if found.seeds_needed is not None:
        notes.append(
            "so few seeds can show no difference from the baseline, however large: that takes "
            f"{found.seeds_needed}"
        )
    return Sheet(
        columns=(
            "",
            "role",
            "in the search",
            "on fresh seeds",
            "95 % interval",
            "n",
            "against the baseline",
            "verdict",
        ),
        left=frozenset({0, 1, 7}),
        rows=rows,
        notes=notes,
    )


def _objectives(trials: Sequence[StudyTrial], place: int, metric: Metric) -> list[str]:
    """What some trials have of one objective."""
    notation = metric.notation(value for trial in trials for value in trial.values[place:][:1])
    return [
        NOTHING
        if place >= len(trial.values)
        else notation.mean(trial.values[place], next(iter(trial.standard_errors[place:]), None))
        for trial in trials
    ]


def _heading(view: StudyView, trial: StudyTrial) -> str:
    roles = ["best"] if view.front[:1] == (trial.number,) and len(view.metrics) == 1 else []
    roles += ["baseline"] if trial.is_baseline else []
    return f"trial {trial.number}" + (f" ({', '.join(roles)})" if roles else "")


def _searched(name: str, parameter: Parameter) -> tuple[str, str, str, str]:
    if isinstance(parameter, CategoricalParameter):
        return name, _choices(parameter.choices), NOTHING, _condition(parameter.when)
    values = f"{parameter.low:g} to {parameter.high:g}"
    if parameter.step is not None:
        values += f" in steps of {parameter.step:g}"
    scale = "logarithmic" if parameter.log else "linear"
    return name, values, scale, _condition(parameter.when)


def _drawn(name: str, distribution: BaseDistribution) -> tuple[str, str, str, str]:
    """Of a study that another tool made, what its parameters were drawn from."""
    if isinstance(distribution, CategoricalDistribution):
        return name, _choices(distribution.choices), NOTHING, NOTHING
    terms = distribution._asdict()
    scale = "logarithmic" if terms.get("log") else "linear"
    return name, f"{terms['low']:g} to {terms['high']:g}", scale, NOTHING


def _choices(choices: Sequence[object]) -> str:
    return ", ".join(number(choice) for choice in choices)


def _condition(when: Condition | None) -> str:
    if when is None:
        return NOTHING
    if when.values is not None:
        values: Sequence[Value] = when.values
        return f"{when.parameter} is {' or '.join(number(value) for value in values)}"
    bounds = [f"above {when.above:g}"] if when.above is not None else []
    bounds += [f"below {when.below:g}"] if when.below is not None else []
    return f"{when.parameter} is {' and '.join(bounds)}"
