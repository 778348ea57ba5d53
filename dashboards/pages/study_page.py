"""The page of a study: how far it is, what it found, every figure, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from dashboards.figures.study.panels import study_panels
from dashboards.going_on import search_command
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.numbers.together import together_note
from dashboards.pages.documents import Document, render
from dashboards.story import confirmation_caveats
from dashboards.tables.drawing import Sheet, draw
from dashboards.tables.formats import KEPT_EPOCH
from dashboards.tables.provenance import show_machine
from dashboards.tables.study import confirmation_sheet, space_sheet
from storage import Store
from storage.commands.cli import storage_arguments
from storage.commands.command_line import command_line
from storage.leases import status_of

__all__ = ["study_document", "trial_address"]

N_LEADING = 10
N_FAILED = 5


@dataclass(frozen=True)
class Command:
    """A command to go on with, and what for."""

    purpose: str
    text: str


def trial_address(study_id: int, number: int) -> str:
    """Where Optuna Dashboard shows a trial."""
    return f"/dashboard/studies/{study_id}/trials?numbers={number}"


def study_document(store: Store, name: str) -> Document:
    """Read a study and describe it.

    Args:
        store: The store.
        name: The study's name.

    Raises:
        StudyNotFoundError: If the store does not hold it.
        StorageError: If the store cannot be read.
    """
    view = read_study(store, name)
    statuses = {launch.launch_id: status_of(launch) for launch in view.launches}
    running = "running" in statuses.values()

    def address(number: int) -> str:
        return trial_address(view.study_id, number)

    confirmation = view.confirmation
    failed = [trial for trial in view.trials if trial.state == "FAIL"]
    status = statuses[view.launches[-1].launch_id] if view.launches else ""
    context = {
        "view": view,
        "running": running,
        "statuses": statuses,
        "status": status,
        "address": address,
        "leading": _leading(view),
        "front": set(view.front),
        "params": list(view.distributions),
        "failed": failed[-N_FAILED:],
        "n_failed": len(failed),
        "confirmation": (
            None if confirmation is None else _drawn(confirmation_sheet(confirmation))
        ),
        "caveats": [] if confirmation is None else confirmation_caveats(confirmation),
        "kept_epoch": KEPT_EPOCH[0].upper() + KEPT_EPOCH[1:],
        "space": _drawn(space_sheet(view)),
        "together": together_note(view.n_together, view.n_runs),
        "commands": _commands(view, status, store.name),
        "machines": {each.launch_id: show_machine(each.hardware) for each in view.launches},
        "n_asked": view.space.budget.trials if view.space else None,
        "epochs_asked": view.space.budget.epochs if view.space else None,
    }
    return Document(
        title=name,
        is_running=running,
        summary=render("study_summary.html", **context),
        details=render("study_details.html", **context),
        panels=study_panels(view, trial_url=address) if view.trials else (),
    )


def _drawn(sheet: Sheet) -> Markup:
    """A sheet as HTML, which it escapes every text for."""
    return Markup(draw(sheet, "html"))


def _leading(view: StudyView) -> list[StudyTrial]:
    """The best trials, complete ones first, and the baseline wherever it is."""
    sign = -1.0 if view.maximize[0] else 1.0
    ranked = sorted(
        (trial for trial in view.trials if trial.values and trial.state != "FAIL"),
        key=lambda trial: (trial.state != "COMPLETE", sign * trial.values[0], trial.number),
    )
    shown = ranked[:N_LEADING]
    if view.baseline is not None and view.baseline.values and view.baseline not in shown:
        shown.append(view.baseline)
    return shown


def _commands(view: StudyView, status: str, store: str) -> list[Command]:
    """How to go on with a study of ours; nothing for those of other tools."""
    if not view.launches:
        return []
    option = storage_arguments(store)
    file = f"{view.study_id}.yaml" if "/" in view.name else f"{view.name}.yaml"
    named = ["--study", view.name, *option]
    commands = []
    onward = search_command(view.launches[-1].command, status, view.space, store)
    if onward is not None:
        spent = "The budget is spent: search further, with twice the trials"
        purpose = spent if onward.searches_further else "Go on with the search"
        commands.append(Command(purpose, onward.text))
    if view.best is not None:
        export = command_line("search.export", [*named, "--output", file])
        benchmark = ["--config", file, "--seeds", "10", *option]
        commands += [
            Command("Write the best config to a file", export),
            Command(
                "Train it on ten seeds, for its test error",
                command_line("search.benchmark", benchmark),
            ),
        ]
    report = command_line("dashboards.report", [*named, "--output", "report.html"])
    return [
        *commands,
        Command("Put all of this into one file", report),
        Command(
            "Publish the figures into Optuna Dashboard", command_line("dashboards.publish", named)
        ),
    ]
