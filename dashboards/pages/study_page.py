"""The page of a study: how far it is, what it found, every figure, where it comes from."""

from __future__ import annotations

from dashboards.figures.study.panels import study_panels
from dashboards.going_on import confirming_command, search_command
from dashboards.headline import Headline
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.numbers.together import together_note
from dashboards.pages.banner import banner
from dashboards.pages.documents import Document, drawn, render
from dashboards.story import (
    confirmation_caveats,
    failures_on_fresh_seeds,
    how_it_went,
    question,
    study_headline,
    study_outcome,
)
from dashboards.tables.asked import asked_sheet
from dashboards.tables.checklist import study_checklist
from dashboards.tables.provenance import provenance_sheets
from dashboards.tables.study import confirmation_sheet, space_sheet, terms_sheet
from dashboards.words import kept_epoch_note
from storage import Store
from storage.actions import list_actions
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments
from storage.leases import latest_status
from storage.on_studies import NOTE, tags_of
from storage.summaries.best import best_first
from storage.summaries.confirmed import failed_seeds

__all__ = ["study_document", "trial_address"]

N_LEADING = 10
N_FAILED = 5
N_ASKED = 10


def trial_address(study_id: int, number: int) -> str:
    """The page of a trial."""
    return f"/study/{study_id}/trial/{number}"


def study_document(store: Store, name: str, *, is_served: bool = True) -> Document:
    """Read a study and describe it.

    Args:
        store: The store.
        name: The study's name.
        is_served: Whether it is for a page that is served beside Optuna Dashboard and asks for a
            newer document again and again, not for a file.

    Raises:
        StudyNotFoundError: If the store does not hold it.
        StorageError: If the store cannot be read.
    """
    view = read_study(store, name)
    status = latest_status(view.launches)
    running = status == "running"

    def address(number: int) -> str:
        return trial_address(view.study_id, number)

    found = view.confirmation
    outcome = [study_outcome(view)]
    if found is not None:
        outcome += confirmation_caveats(found)
    else:
        outcome += failures_on_fresh_seeds(failed_seeds(store, view.study_id))
    failed = [trial for trial in view.trials if trial.state == "FAIL"]
    space = [space_sheet(view)] + ([] if view.space is None else [terms_sheet(view.space)])
    asked = list_actions(store, study=name)
    begun = view.launches[0].started_at if view.launches else None
    leading, headline = _leading(view), study_headline(view)
    command = _confirming(view, headline, store.name) if is_served and not running else None
    context = {
        "view": view,
        "running": running,
        "status": status or "",
        "address": address if is_served else None,
        "headline": banner(headline, command),
        "said": store.course(view.launches[-1].launch_id) if view.launches else None,
        "tags": tags_of(asked, since=begun),
        "notes": [
            each for each in asked if each.verb == NOTE and (not begun or each.asked_at >= begun)
        ],
        "asked": drawn([asked_sheet(asked[:N_ASKED])] if asked else []),
        "question": question(view),
        "outcome": outcome,
        "went": how_it_went(view, is_running=running),
        "leading": leading,
        "notations": [
            metric.notation(value for trial in leading for value in trial.values[place:][:1])
            for place, metric in enumerate(view.metrics)
        ],
        "failed": failed[-N_FAILED:],
        "n_failed": len(failed),
        "confirmation": drawn([] if found is None else [confirmation_sheet(found)]),
        "kept_epoch": kept_epoch_note(
            view.measured, (each.name for each in view.metrics), view.selections
        ),
        "space": drawn(space),
        "together": together_note(view.n_together, view.n_runs),
        "commands": _commands(view, status, store.name) if is_served and status else {},
        "provenance": drawn(provenance_sheets(view.launches)),
        "checklist": drawn([study_checklist(view)]),
    }
    return Document(
        title=name,
        kind="study",
        is_running=running,
        outcome=headline.sentence,
        lead=render("study_lead.html", **context),
        summary=render("study_summary.html", **context),
        details=render("study_details.html", **context),
        panels=study_panels(view, trial_url=address if is_served else None) if view.trials else (),
    )


def _confirming(view: StudyView, headline: Headline, store: str) -> str | None:
    """The command that trains the fresh seeds that are missing, of a study of ours."""
    if not view.launches or view.space is None:
        return None
    command = view.launches[-1].command
    return confirming_command(command, view.space, store, n_seeds=headline.seeds)


def _leading(view: StudyView) -> list[StudyTrial]:
    """The best trials, complete ones first; the winner on fresh seeds and the baseline anyhow."""
    may_lead = (trial for trial in view.trials if trial.state != "FAIL")
    ranked = best_first(may_lead, view.metrics[0])
    kept = {trial.number for trial in ranked[:N_LEADING]}
    kept |= set() if view.confirmation is None else {view.confirmation.winner.trial_number}
    kept |= set() if view.baseline is None else {view.baseline.number}
    return [trial for trial in ranked if trial.number in kept]


def _commands(view: StudyView, status: str, store: str) -> dict[str, str]:
    """How to go on with a study of ours: what for -> the command."""
    option = storage_arguments(store)
    file = f"{view.study_id}.yaml" if "/" in view.name else f"{view.name}.yaml"
    named = ["--study", view.name, *option]
    commands = {}
    onward = search_command(view.launches[-1].command, status, view.space, store)
    if onward is not None:
        spent = "The budget is spent: search further, with twice the trials"
        commands[spent if onward.searches_further else "Go on with the search"] = onward.text
    if view.best is not None and view.best.parent is None:
        compared = [] if view.baseline is None else ["--baseline"]
        both = " and the baseline's" if compared else ""
        commands |= {
            f"Write the best config{both} to a file": command_line(
                "search.export", [*named, *compared, "--output", file]
            ),
            "Train it on fresh seeds, and read the test split": command_line(
                "search.benchmark", ["--config", file, "--fresh-seeds", *option]
            ),
        }
    report = command_line("dashboards.report", [*named, "--output", "report.html"])
    publish = command_line("dashboards.publish", named)
    return commands | {
        "Put all of this into one file": report,
        "Publish the figures into Optuna Dashboard": publish,
    }
