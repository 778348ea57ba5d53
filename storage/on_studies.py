"""What people do to a study in the store itself: put trials into its queue, note and tag.

Each is an action of `storage.actions`, done and recorded in one transaction. A note or a tag is
nothing but that record.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState

from space.errors import UsageError
from storage.actions import Answer, act, list_actions
from storage.optuna_rows.trial_rows import next_number
from storage.store import Store
from storage.tables import schema
from storage.tables.attributes import BASELINE, QUEUED, WARM_START
from storage.tables.optuna_models import STUDIES, SYSTEM_ATTRIBUTES, TRIALS
from storage.tables.service import ActionRecord, NewAction

__all__ = [
    "NOTE",
    "QUEUE_TRIAL",
    "TAG",
    "UNTAG",
    "actions_version",
    "queue_trial",
    "queued_by_hand",
    "remark",
    "tags_of",
]

QUEUE_TRIAL, NOTE, TAG, UNTAG = "queue-trial", "note", "tag", "untag"
_QUEUEING = ("grid", "pbt")
"""The samplers that queue what they propose."""
LONGEST = {NOTE: 10_000, TAG: 60, UNTAG: 60}
"""Characters of a note and of a tag."""


def queue_trial(store: Store, action: NewAction) -> ActionRecord:
    """Put a trial into a study's queue; the next worker that is free takes it up.

    Args:
        store: The store.
        action: `QUEUE_TRIAL`, with its `study`, and in its detail ``values``: parameter -> value,
            as the study's space spells them; the sampler proposes the others.

    Returns:
        The action as it is recorded: done, with the trial's number; refused without such a study.

    Raises:
        StorageError: If the database fails.
    """

    def work(connection: sa.Connection) -> Answer:
        own = sa.select(STUDIES.c.study_id).where(STUDIES.c.study_name == action.study)
        study_id = connection.execute(own.with_for_update()).scalar()
        if study_id is None:
            return Answer("refused", f"there is no study {action.study}")
        new = TRIALS.insert().values(
            study_id=study_id, number=next_number(study_id), state=TrialState.WAITING
        )
        trial_id = connection.execute(new).inserted_primary_key[0]  # type: ignore[index]
        row = {
            "trial_id": trial_id,
            "key": QUEUED,
            "value_json": json.dumps(dict(action.detail["values"])),
        }
        connection.execute(SYSTEM_ATTRIBUTES.insert().values(row))
        query = sa.select(TRIALS.c.number).where(TRIALS.c.trial_id == trial_id)
        return Answer("done", _queued_as(connection.execute(query).scalar_one()))

    return act(store, action, work)


def queued_by_hand(store: Store, study_id: int, trials: Iterable[FrozenTrial]) -> set[int]:
    """The numbers of those trials that a person put into the queue, but for baselines and warm
    starts.

    The grid and population-based training queue what they propose, too: of theirs only those count
    that were put there by `queue_trial`.
    """
    queued = {
        trial.number
        for trial in trials
        if QUEUED in trial.system_attrs and not {BASELINE, WARM_START} & trial.user_attrs.keys()
    }
    launches = store.launches(study_id) if queued else []
    if not any(each.config.get("sampler", {}).get("name") in _QUEUEING for each in launches):
        return queued
    with store.guarded():
        study = store.optuna_storage.get_study_name_from_id(study_id)
    said = {each.answer for each in list_actions(store, study=study) if each.verb == QUEUE_TRIAL}
    return {number for number in queued if _queued_as(number) in said}


def _queued_as(number: int) -> str:
    return f"it is trial {number}"


def remark(store: Store, action: NewAction) -> ActionRecord:
    """Write something down about a study or a trial.

    Args:
        store: The store.
        action: `NOTE`, `TAG` or `UNTAG`, with its `study`, the `trial_number` if it is about a
            trial, and in its detail ``text``: the note, or the tag.

    Returns:
        The action as it is recorded: done; refused without such a trial.

    Raises:
        UsageError: If the text is empty or too long.
        StorageError: If the database fails.
    """
    verb, study, trial_number = action.verb, action.study, action.trial_number
    text = action.detail["text"].strip()
    if not 0 < len(text) <= LONGEST[verb]:
        raise UsageError(f"{verb}: write something, of {LONGEST[verb]:,} characters at the most.")

    def work(connection: sa.Connection) -> Answer:
        if trial_number is not None:
            there = sa.select(TRIALS.c.number).join(
                STUDIES, STUDIES.c.study_id == TRIALS.c.study_id
            )
            own = (STUDIES.c.study_name == study) & (TRIALS.c.number == trial_number)
            if connection.execute(there.where(own)).first() is None:
                return Answer("refused", f"study '{study}' has no trial {trial_number}")
        return Answer("done", None)

    return act(store, replace(action, detail={"text": text}), work)


def actions_version(store: Store, study: str) -> str:
    """A short text that changes when something is asked about a study, or answered.

    Raises:
        StorageError: If the store cannot be read.
    """
    asked = schema.actions.c
    sums: list[Any] = [sa.func.max(asked.action_id), sa.func.count(asked.answered_at)]
    rows = store.rows(sa.select(*sums).where(asked.study == study))
    return "-".join(str(value) for row in rows for value in row.values())


def tags_of(
    actions: Iterable[ActionRecord],
    *,
    trial_number: int | None = None,
    since: datetime.datetime | None = None,
) -> list[str]:
    """The tags of a study or a trial, those that were put first before the others.

    Args:
        actions: What was asked about the study, newest first.
        trial_number: The trial; None: the study.
        since: When the study was begun; an earlier one of its name had tags of its own.
    """
    tags: dict[str, None] = {}
    for action in reversed(list(actions)):
        if action.trial_number != trial_number or (since and action.asked_at < since):
            continue
        if action.verb == TAG:
            tags[action.detail["text"]] = None
        elif action.verb == UNTAG:
            tags.pop(action.detail["text"], None)
    return list(tags)
