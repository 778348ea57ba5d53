"""The result of a launch, as a table for people and as JSON for programs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dashboards.going_on import search_command
from dashboards.headline import confirmed_headline, front_headline, unconfirmed_headline
from dashboards.numbers.study.confirmation import Confirmation, read_confirmation
from dashboards.numbers.study.snapshot import Snapshot, take_snapshot
from dashboards.numbers.study.trials import StudyTrial
from dashboards.story import failures_on_fresh_seeds
from dashboards.words import kept_epoch_note
from search.callbacks.messages import Messages
from search.export.config_text import check_output
from search.launch.confirm import Unconfirmed, candidates, unconfirmed
from search.launch.confirmation import confirmation_as_json, print_confirmation, print_unconfirmed
from search.launch.plan import Plan
from search.launch.study import Outcome
from search.trials.proposals import Tried
from search.trials.study import OpenedStudy
from space.errors import UsageError
from space.terminal.command import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NOTHING
from space.terminal.printing import say, say_command, say_json, say_table
from space.words import capitalised, count, duration, show_params
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments
from storage.summaries.baselines import in_order
from storage.summaries.confirmed import failed_seeds

__all__ = [
    "Result",
    "exit_status",
    "print_result",
    "read_result",
    "result_as_json",
    "say_result",
    "tell_result",
]

logger = logging.getLogger(__name__)

N_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a launch has come to: how it ended, the study now, and what is confirmed of it."""

    plan: Plan
    store: str
    outcome: Outcome
    snapshot: Snapshot
    confirmation: Confirmation | None
    unconfirmed: list[Unconfirmed]
    """The trials for which the plan asks for more runs on fresh seeds than there are."""
    failed: dict[int, int]
    """Trial number -> on how many fresh seeds it failed, of those where it did."""
    is_exhausted: bool = False
    """Whether the space has no point left, though the budget has room."""


_ENDINGS = {
    "done": "the budget is spent",
    "plateau": "the trials after the best one brought no better",
    "time limit": "the time limit was reached",
    "interrupted": "it was interrupted",
}
_EXHAUSTED = "every point of the {} has its trial"


def read_result(opened: OpenedStudy, plan: Plan, outcome: Outcome) -> Result:
    """Read what a launch has come to."""
    store = opened.store
    with store.guarded():
        runs = store.runs(opened.id, "search")
        snapshot = take_snapshot(store, opened.id, opened.objectives, runs)
        tried = Tried(plan.space)
        tried.look(store.optuna_storage, opened.id)
        n_trials = store.optuna_storage.get_n_trials(opened.id)
    most, budgeted = opened.space.max_trials, opened.space.budget.trials
    has_room = budgeted is None or n_trials < budgeted
    has_no_point = most is not None and n_trials >= most  # A grid may be smaller than the budget.
    baselines = in_order({row.number: row.state for row in snapshot.leading if row.is_baseline})
    found = read_confirmation(store, opened.id, baselines)
    if plan.space.confirm.top:
        _say_skipped(candidates(opened).skipped)
    return Result(
        plan=plan,
        store=store.name,
        outcome=outcome,
        snapshot=snapshot,
        confirmation=found,
        unconfirmed=unconfirmed(opened) if plan.space.confirm.top else [],
        failed=failed_seeds(store, opened.id),
        is_exhausted=(
            outcome.status == "done" and has_room and (has_no_point or tried.left() == [])
        ),
    )


def _say_skipped(skipped: dict[int, str]) -> None:
    """Say which of the best trials cannot be confirmed."""
    if skipped:
        (number, reason), *others = skipped.items()
        more = f" and {count(len(others), 'other trial')}" if others else ""
        logger.warning(
            "not confirmed, as no run can be trained with its parameters: trial %d (%s)%s",
            number, reason, more,
        )  # fmt: skip


def tell_result(result: Result, messages: Messages) -> None:
    """Send what a launch has come to, unless a person interrupted it."""
    snapshot, status = result.snapshot, result.outcome.status
    if status == "interrupted":
        return
    metrics, baseline = result.plan.space.metrics, snapshot.baseline
    if len(metrics) > 1:
        headline = front_headline(metrics, len(snapshot.best))
    elif result.confirmation is not None:
        headline = confirmed_headline(result.confirmation)
    else:
        is_complete = baseline is not None and baseline.state == "COMPLETE"
        headline = unconfirmed_headline(
            metrics[0],
            best=snapshot.best[0].values[0] if snapshot.best else None,
            baseline=baseline.values[0] if baseline is not None and is_complete else None,
            n_complete=snapshot.counts["COMPLETE"],
        )
    ending = "" if status == "done" else f"{capitalised(_ENDINGS[status])}."
    messages.ended(headline.badge, headline.sentence, headline.aside, ending)


def result_as_json(result: Result) -> Any:
    """The result for `--format json`."""
    plan, outcome, snapshot = result.plan, result.outcome, result.snapshot
    return {
        "study": plan.space.study,
        "storage": result.store,
        "launch": outcome.launch_id,
        "ended": outcome.status,
        "seconds": round(outcome.seconds, 3),
        "data": {"source": plan.place.data.source, "fingerprint": plan.place.data.fingerprint},
        "metrics": [objective.metric for objective in plan.space.objectives],
        "trials": snapshot.counts,
        "interrupted": outcome.n_interrupted,
        "best": [_as_json(row) for row in snapshot.best],
        "baseline": None if snapshot.baseline is None else _as_json(snapshot.baseline),
        "leading": [_as_json(row) for row in snapshot.leading[:N_SHOWN]],
        "confirmation": confirmation_as_json(result.confirmation),
        "unconfirmed": [asdict(each) for each in result.unconfirmed],
        "unconfirmed_runs": sum(each.n_missing for each in result.unconfirmed),
        "failed_seeds": result.failed,
        "continue": plan.command,
    }


def _as_json(row: StudyTrial) -> dict[str, Any]:
    return {
        "number": row.number,
        "state": row.state,
        "values": row.values,
        "params": row.params,
        "n_epochs": row.longest,
        "is_baseline": row.is_baseline,
        "warm_start": row.warm_start,
        "reason": row.reason,
    }


def exit_status(result: Result) -> int:
    """A command's exit status after a launch."""
    if result.outcome.status == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.snapshot.n_finished else EXIT_NOTHING


def say_result(result: Result, output_format: str) -> None:
    """Print the result as text or as JSON."""
    if output_format == "json":
        say_json(result_as_json(result))
    else:
        print_result(result)


def print_result(result: Result) -> None:
    """Print the result: the best trials, where everything is, and what to do next."""
    plan, outcome, snapshot = result.plan, result.outcome, result.snapshot
    counts = snapshot.counts
    say()
    what = "grid" if plan.space.sampler.name == "grid" else "space"
    ending = _EXHAUSTED.format(what) if result.is_exhausted else _ENDINGS[outcome.status]
    say(
        f"study '{plan.space.study}': {ending} after "
        f"{duration(round(outcome.seconds))}; {count(counts['COMPLETE'], 'trial')} "
        f"complete, {counts['PRUNED']} pruned, {counts['FAIL']} failed, {counts['WAITING']} waiting"
    )
    if snapshot.leading:
        _print_table(plan, snapshot)
        objectives = [objective.metric for objective in plan.space.objectives]
        for note in kept_epoch_note(
            plan.space.config_type.measured, objectives, _selections(plan, snapshot.leading)
        ):
            say(note)
        say(_comparison(plan, snapshot))
    else:
        say("no trial has a value yet")
    if result.confirmation is not None:
        print_confirmation(result.confirmation)
    elif result.failed:
        say(" ".join(failures_on_fresh_seeds(result.failed)))
    if result.unconfirmed:
        print_unconfirmed(result.unconfirmed, plan.space.metrics[0])
    say()
    say(f"every trial and epoch: {result.store}, launch {outcome.launch_id}")
    # What is lacking may have been left to another launch by one that did all else.
    status = "interrupted" if result.unconfirmed else outcome.status
    onward = search_command(plan.command, status, plan.space)
    if onward is not None:
        purpose = "search further with:  " if onward.searches_further else "go on with:           "
        say_command(f"{purpose} ", onward.text)
    storage = storage_arguments(result.store)
    say_command("look at it with:       ", command_line("dashboards.serve", storage))
    if snapshot.best and plan.space.sampler.name != "pbt":
        study = plan.space.study
        export = ["--study", study, "--output", _free_output(study), *storage]
        say_command("export the best with:  ", command_line("search.export", export))


def _selections(plan: Plan, trials: Sequence[StudyTrial]) -> set[str]:
    """By what the trials' runs keep a state: see `Measured.rules`."""
    fixed, paths = plan.space.config.selection, plan.space.parameter_paths
    name = next((name for name, path in paths.items() if path == "training.selection"), "")
    return {str(trial.params.get(name, fixed)) for trial in trials}


def _print_table(plan: Plan, snapshot: Snapshot) -> None:
    metrics = plan.space.metrics
    columns = ("", "trial", *(metric.name for metric in metrics), "epochs", "state", "parameters")
    rows = []
    shown = list(snapshot.leading[:N_SHOWN])
    if snapshot.baseline is not None and snapshot.baseline not in shown:
        shown.append(snapshot.baseline)
    best = {row.number for row in snapshot.best}
    for row in shown:
        values = [m.show(value) for m, value in zip(metrics, row.values, strict=False)]
        values += [""] * (len(metrics) - len(values))
        rows.append(
            (
                _role(row, best),
                str(row.number),
                *values,
                str(row.longest),
                row.state.lower(),
                show_params(row.params),
            )
        )
    n = len(columns)
    say_table(columns, rows, left=frozenset({0, n - 2, n - 1}), n_keys=2)


def _role(row: StudyTrial, best: set[int]) -> str:
    origin = "baseline" if row.is_baseline else "warm start" if row.warm_start else ""
    return ", ".join(filter(None, ("best" if row.number in best else "", origin)))


def _comparison(plan: Plan, snapshot: Snapshot) -> str:
    """What the best trial is worth beside the baseline, said with its uncertainty."""
    baseline = snapshot.baseline
    if len(plan.space.objectives) > 1:
        return f"{count(len(snapshot.best), 'trial')} on the Pareto front"
    if not snapshot.best:
        return "no trial has reached its full number of epochs yet"
    best = snapshot.best[0]
    metric = plan.space.metrics[0]
    n_seeds = plan.space.replicates
    seeds = count(n_seeds, "seed")
    found = f"best {metric.name} {metric.show(best.values[0])}"
    if baseline is None and not plan.space.baselines:
        return f"{found} on {seeds}: the best of many trials is partly luck"
    if baseline is None or baseline.state != "COMPLETE":
        return f"{found} on {seeds}; {_unfinished(baseline)}"
    if baseline == best:
        return f"{found} on {seeds}, the baseline's: no trial was better"
    return (
        f"{found} beside the baseline's {metric.show(baseline.values[0])}, on {seeds} each: the "
        "best of many trials is partly luck"
    )


def _unfinished(baseline: StudyTrial | None) -> str:
    """Why there is nothing to compare with."""
    if baseline is None:
        return "the baseline has no value"
    epochs = count(baseline.longest, "epoch")
    match baseline.state:
        case "PRUNED":
            return f"the baseline was pruned after {epochs}"
        case "FAIL":
            return f"the baseline failed after {epochs}"
    return "the baseline has not reached its full number of epochs yet"


def _free_output(study: str) -> str:
    """Where the best config can be exported to: nothing else is there, such as a space file."""
    n = 1
    while True:
        path = f"best/{study}{'' if n == 1 else f'-{n}'}.yaml"
        try:
            check_output(Path(path))
        except UsageError:
            n += 1
        else:
            return path
