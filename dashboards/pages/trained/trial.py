"""The page of a trial: its curves, its config beside the baseline's, how it ended, its runs."""

from __future__ import annotations

from dashboards.ending import trial_ending
from dashboards.figures.trained import trained_panels
from dashboards.numbers.study.trials import StudyTrial, read_trials
from dashboards.numbers.study.view import recorded_space
from dashboards.numbers.trained import Trained, trained_trial
from dashboards.pages.documents import Document
from dashboards.pages.trained.page import (
    Tile,
    TrainedPage,
    differences_sheet,
    kept_weights,
    show_setting,
    trained_document,
)
from dashboards.statistics.means import summarise
from dashboards.tables.drawing import Sheet
from dashboards.words import show_mean
from space.metrics import UNKNOWN, Metric
from space.words import NOTHING, count
from storage import Store
from storage.actions import list_actions
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments
from storage.leases import is_alive
from storage.on_studies import NOTE, tags_of
from storage.summaries.baselines import in_order
from storage.summaries.best import objectives
from storage.summaries.confirmed import confirmed_trials

__all__ = ["trial_document"]


def trial_document(store: Store, study_id: int, name: str, wanted: int) -> Document:
    """Read a trial and describe it.

    Args:
        store: The store.
        study_id: The study.
        name: Its name.
        wanted: The trial's number, which is there.

    Raises:
        StorageError: If the store cannot be read.
    """
    record = store.study_records().get(study_id)
    measured = record.measured if record else UNKNOWN
    metrics = objectives(store, study_id)
    trial_id = store.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, wanted)
    runs = store.runs(trial_ids=[trial_id])
    trials, _ = read_trials(store, study_id, [run for run in runs if run.purpose == "search"])
    by_number = {trial.number: trial for trial in trials}
    trial = by_number[wanted]
    order = in_order({each.number: each.state for each in trials if each.is_baseline})
    baseline = by_number[order[0]] if order else None
    launches = {launch.launch_id: launch for launch in store.launches(study_id)}
    space = recorded_space(launches[max(launches)].config) if launches else None
    lives = any(run.state == "running" and is_alive(launches[run.launch_id]) for run in runs)
    page = f"/study/{study_id}"
    paths = space.parameter_paths if space else {}

    def trained(each: StudyTrial) -> Trained:
        address = f"{page}/trial/{each.number}"
        return trained_trial(store, each, measured, metrics[0], address, paths)

    own = trained(trial)
    other = None if baseline is None or baseline is trial else trained(baseline)
    tiles = [
        Tile(
            metric.words,
            _value(trial, metric, place),
            f"the baseline's: {_value(baseline, metric, place)}" if baseline and other else "",
        )
        for place, metric in enumerate(metrics)
    ]
    confirmed = next(
        (each for each in confirmed_trials(store, study_id) if each.trial_number == wanted), None
    )
    if confirmed is not None:
        notation, fresh = metrics[0].notation(confirmed.values), summarise(confirmed.values)
        shown = show_mean(fresh, notation) + notation.unit
        tiles.append(Tile("on fresh seeds", shown, count(fresh.n, "seed")))
    weights = [
        path
        for run in runs
        for path in kept_weights(store, name, run, launches[run.launch_id].command)
    ]
    begun = min((launch.started_at for launch in launches.values()), default=None)
    asked = [each for each in list_actions(store, study=name) if begun and each.asked_at >= begun]
    document = TrainedPage(
        act=f"{page}/actions?trial={wanted}",
        notes=[each for each in asked if each.verb == NOTE and each.trial_number == wanted],
        up=((page, name), (f"{page}/trials", "all trials"), *_parent(trial, page)),
        badges=[*_badges(trial, lives=lives), *tags_of(asked, trial_number=wanted)],
        state=trial.state,
        ending=trial_ending(trial, trials, metrics[0], space, lives=lives),
        tiles=tiles,
        settings=own.settings,
        params=Sheet(
            columns=("parameter", "value"),
            left=frozenset({0, 1}),
            rows=[(each, show_setting(value)) for each, value in trial.params.items()],
        ),
        differences=None if other is None else differences_sheet([own, other]),
        compare=f"{page}/compare?trial={wanted}&trial={baseline.number}"
        if baseline and other
        else None,
        runs=runs,
        weights=weights,
        commands=_commands(store, name, wanted, weights)
        if record and trial.values and trial.parent is None
        else {},
        tracebacks=[run.traceback for run in runs if run.traceback],
        launches=[launches[each] for each in sorted({run.launch_id for run in runs})],
    )
    return trained_document(
        document,
        title=f"Trial {wanted}",
        kind="trial",
        is_running=lives,
        panels=trained_panels(own, space.rungs() if space else ()),
    )


def _value(trial: StudyTrial, metric: Metric, place: int) -> str:
    if place >= len(trial.values):
        return NOTHING
    notation = metric.notation([trial.values[place]])
    error = next(iter(trial.standard_errors[place:]), None)
    return notation.mean(trial.values[place], error) + notation.unit


def _parent(trial: StudyTrial, page: str) -> list[tuple[str, str]]:
    """The address of the trial from whose end it goes on, if there is one, and what to call it."""
    if trial.parent is None:
        return []
    return [(f"{page}/trial/{trial.parent}", f"trial {trial.parent}, where it goes on")]


def _badges(trial: StudyTrial, *, lives: bool) -> list[str]:
    badges = ["baseline"] if trial.is_baseline else []
    if trial.warm_start is not None:
        badges.append(f"warm start from {trial.warm_start}")
    return [*badges, "running"] if lives else badges


def _commands(store: Store, study: str, trial: int, weights: list[str]) -> dict[str, str]:
    option = storage_arguments(store.name)
    file = f"trial-{trial}.yaml"
    export = ["--study", study, "--trial", str(trial), "--baseline", "--output", file, *option]
    commands = {
        "Write its config and the baseline's to a file": command_line("search.export", export),
        "Train both on fresh seeds, and read the test split": command_line(
            "search.benchmark", ["--config", file, "--fresh-seeds", *option]
        ),
    }
    if weights:
        with_weights = [*export, "--weights", f"trial-{trial}.safetensors"]
        commands["Copy the weights of its best run, too"] = command_line(
            "search.export", with_weights
        )
    return commands
