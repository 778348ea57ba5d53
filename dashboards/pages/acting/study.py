"""The page on which a study is acted upon: forms, and what was asked for so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dashboards.numbers.study.view import latest_space
from dashboards.pages.acting.form import Acting, Form, stop_launch, user_of
from dashboards.pages.addresses import find_study
from dashboards.pages.documents import Document, drawn, render
from dashboards.pages.responses import Content
from dashboards.tables.asked import asked_sheet
from space import CategoricalParameter, Space
from space.errors import UsageError
from space.study.queued import read_values
from storage import LaunchRecord, RunRecord, Store
from storage.actions import ADD_BUDGET, STOP, STOP_TRIAL, ask, list_actions
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments
from storage.leases import is_alive
from storage.on_studies import NOTE, QUEUE_TRIAL, TAG, UNTAG, queue_trial, remark
from storage.submissions import list_submissions
from storage.tables.service import NewAction

__all__ = ["StudyActions", "asked_document"]

N_ASKED = 50
"""So many actions are shown."""
VALUE = "value."
"""What the name of a parameter's field begins with."""


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A parameter as the form of a new trial has it."""

    name: str
    choices: list[str]
    span: str
    value: str


class StudyActions(Acting):
    """The forms of a study."""

    def act(self, store: Store, request: Request, form: Form, action: NewAction) -> None:
        """As `Acting` says."""
        study_id, name = find_study(store, request)
        _act(store, study_id, form, replace(action, study=name))

    def page(self, request: Request, problem: str = "", form: Form | None = None) -> Response:
        """As `Acting` says."""
        study_id, name = find_study(self._store, request)
        launches = self._store.launches(study_id)
        space = latest_space(launches)
        alive = [launch for launch in launches if is_alive(launch)]
        running = _running(self._store, study_id, alive)
        trial = request.query_params.get("trial", "")
        submitted = {each.launch_id for each in list_submissions(self._store, "running")}
        page = render(
            "acting/study.html",
            title=f"Actions on {name}",
            here="",
            optuna=f"/dashboard/studies/{study_id}",
            data=f"/data/study/{study_id}/actions",
            now="",
            up=f"/study/{study_id}",
            user=user_of(request),
            problem=problem,
            given=form.fields if form else {"trial": trial},
            alive=alive,
            submitted=submitted,
            running=sorted(running),
            fields=_fields(self._store, study_id, space, trial, form),
            commands=_commands(self._store, name, alive, running),
        )
        return Content.of(page).answer(request, 400 if problem else 200)


def asked_document(store: Store, request: Request) -> Document:
    """What was asked about a study, newest first.

    Args:
        store: The store.
        request: Its address names the study.
    """
    _, name = find_study(store, request)
    asked = list_actions(store, study=name, limit=N_ASKED)
    return Document(
        title=name,
        is_running=any(each.state == "asked" for each in asked),
        summary=render("acting/asked.html", asked=drawn([asked_sheet(asked)] if asked else [])),
    )


def _act(store: Store, study_id: int, form: Form, action: NewAction) -> None:
    verb = action.verb
    if verb in (STOP, "pause"):
        stop_launch(store, replace(action, launch_id=form.whole("launch")))
    elif verb == STOP_TRIAL:
        number = form.whole("trial")
        holders = _running(store, study_id, store.launches(study_id, status="running"))
        if number not in holders:
            raise UsageError(f"no launch that is alive trains a trial {number}.")
        ask(store, replace(action, launch_id=holders[number], trial_number=number))
    elif verb == ADD_BUDGET:
        detail = {"trials": form.whole("trials"), "time_limit": form.seconds("time")}
        detail = {key: value for key, value in detail.items() if value}
        if not detail:
            raise UsageError("name trials or a time to add.")
        ask(store, replace(action, launch_id=form.whole("launch"), detail=detail))
    elif verb == QUEUE_TRIAL:
        launches = store.launches(study_id)
        space = latest_space(launches)
        if space is None:
            raise UsageError("no launch of this release has said what the study searches.")
        texts = {
            key.removeprefix(VALUE): text
            for key, text in form.fields.items()
            if key.startswith(VALUE) and text.strip()
        }
        if not texts:
            raise UsageError("give one parameter a value at the least.")
        values = read_values(texts, space.parameters)
        queue_trial(store, replace(action, detail={"values": values}))
    elif verb in (NOTE, TAG, UNTAG):
        text, trial = form.fields.get("text", ""), form.whole("trial")
        remark(store, replace(action, trial_number=trial, detail={"text": text}))
    else:
        raise UsageError("the page has no such form.")


def _running(store: Store, study_id: int, launches: list[LaunchRecord]) -> dict[int, int]:
    """Trial that is being trained -> the launch that does."""
    alive = {launch.launch_id for launch in launches if is_alive(launch)}
    runs: list[RunRecord] = store.runs(study_id, "search", state="running") if alive else []
    with store.guarded():
        return {
            store.optuna_storage.get_trial(run.trial_id).number: run.launch_id
            for run in runs
            if run.launch_id in alive and run.trial_id is not None
        }


def _fields(
    store: Store, study_id: int, space: Space | None, trial: str, form: Form | None
) -> list[_Field]:
    """The fields of a new trial: as they were sent, else as an earlier trial has them."""
    if space is None:
        return []
    values: dict[str, Any] = {}
    if trial.isascii() and trial.isdigit() and len(trial) < 10:
        with store.guarded():
            trials = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
        values = next((each.params for each in trials if each.number == int(trial)), {})
    sent = form.fields if form else {}
    return [
        _Field(
            name=name,
            choices=[str(each) for each in parameter.choices]
            if isinstance(parameter, CategoricalParameter)
            else [],
            span=parameter.span(),
            value=sent.get(VALUE + name, str(values.get(name, ""))),
        )
        for name, parameter in space.parameters.items()
    ]


def _commands(
    store: Store, name: str, alive: Sequence[LaunchRecord], running: Mapping[int, int]
) -> dict[str, str]:
    """Form, with the number of the launch where it has one -> the command that does the same."""
    option = storage_arguments(store.name)

    def command(verb: str, *arguments: str) -> str:
        return command_line(f"search.service.{verb}", [*arguments, *option])

    values = ["--study", name, "NAME=VALUE", *option]

    commands = {
        QUEUE_TRIAL: command_line("search.queue_trial", values),
        NOTE: command("note", "--study", name, "TEXT"),
        TAG: command("note", "--study", name, "--tag", "TAG"),
    }
    for launch in alive:
        of = ("--launch", str(launch.launch_id))
        commands[f"{STOP} {launch.launch_id}"] = command("stop", *of)
        commands[f"{ADD_BUDGET} {launch.launch_id}"] = command("add_budget", *of, "--trials", "10")
    for each in list_submissions(store, "running"):
        commands[f"pause {each.launch_id}"] = command("pause", str(each.submission_id))
    for trial, launch_id in sorted(running.items())[:1]:
        of_trial = ("--launch", str(launch_id), "--trial", str(trial))
        commands[STOP_TRIAL] = command("stop", *of_trial)
    return commands
