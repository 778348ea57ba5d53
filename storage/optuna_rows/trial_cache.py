"""What a process knows of trials without asking the database again.

Optuna's cache keeps the trials that have ended and reads all others anew, whole, whenever it is
asked. Most of what a launch asks is about trials that it runs itself, of which nobody else writes a
word while its lease holds: these are kept as they were written. One short statement tells whether
anything else has changed.
"""

from __future__ import annotations

import copy
import datetime
import functools
import itertools
import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage.optuna_rows.steady import SteadyStorage
from storage.optuna_rows.trial_reading import Seen, local_time
from storage.tables.records import TrialStep

__all__ = ["TrialCache"]

_ENDED = tuple(state for state in TrialState if state.is_finished())


class TrialCache(_CachedStorage):
    """Optuna's cache, which also keeps the trials that this process runs.

    A trial is held from the moment it was made or taken up here until it ends or goes back into
    the queue, or until the database says that somebody else did either. What others write into a
    held trial, as a note is, is not seen here; the database has it.

    Trials handed out are never changed afterwards, so a list of them stays what it was.
    """

    _backend: SteadyStorage

    def __init__(self, backend: SteadyStorage) -> None:
        """Begin with nothing known."""
        super().__init__(backend)
        self._held: dict[int, FrozenTrial] = {}
        self._newest: dict[int, int] = {}
        """Study -> the last trial up to which all are known."""
        self._ended: dict[int, int] = {}
        """Study -> a trial that has ended: it stays as it is for as long as the study is there."""

    # -- writing -----------------------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study; what was known of one that had its number is forgotten."""
        study_id = super().create_new_study(directions, study_name)
        with self._lock:
            self._forget(study_id)
        return study_id

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._backend.delete_study(study_id)
        with self._lock:
            self._forget(study_id)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; it is held if it runs."""
        made = self._backend._create_new_trial(study_id, template_trial)
        with self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            self._keep(study_id, study, made)
            if made.state == TrialState.RUNNING:
                self._held[made._trial_id] = made
        return made._trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter, unless it is set."""
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

        def note(trial: FrozenTrial) -> None:
            if param_name not in trial.params:
                value = distribution.to_external_repr(param_value_internal)
                trial.params = {**trial.params, param_name: value}
                trial.distributions = {**trial.distributions, param_name: distribution}

        self._note(trial_id, note)

    def set_trial_params(
        self, trial_id: int, params: Mapping[str, tuple[float, BaseDistribution]]
    ) -> None:
        """Set a whole point at once, whatever distributions other trials of the study have.

        Optuna would refuse a parameter whose name another tool has used for another kind, and
        with it every trial to come.

        Args:
            trial_id: Optuna's number of the trial.
            params: Parameter -> its distribution's internal value, and the distribution.
        """
        self._backend.write_params(trial_id, params)

        def note(trial: FrozenTrial) -> None:
            values = {
                name: wanted.to_external_repr(value) for name, (value, wanted) in params.items()
            }
            trial.params = {**values, **trial.params}
            kinds = {name: wanted for name, (_, wanted) in params.items()}
            trial.distributions = {**kinds, **trial.distributions}

        self._note(trial_id, note)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Report a value."""
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self.note_steps([TrialStep(trial_id=trial_id, step=step, value=intermediate_value)])

    def note_steps(self, steps: Iterable[TrialStep]) -> None:
        """Hear of values that were reported in a transaction of ours."""
        for step in steps:
            self._note(step.trial_id, functools.partial(_add_step, step))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute."""
        super().set_trial_user_attr(trial_id, key, value)

        def note(trial: FrozenTrial) -> None:
            trial.user_attrs = {**trial.user_attrs, key: json.loads(json.dumps(value))}

        self._note(trial_id, note)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute."""
        super().set_trial_system_attr(trial_id, key, value)

        def note(trial: FrozenTrial) -> None:
            trial.system_attrs = {**trial.system_attrs, key: json.loads(json.dumps(value))}

        self._note(trial_id, note)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set a trial's state; it is held while it runs here."""
        if state == TrialState.RUNNING:
            done = self._backend.set_trial_state_values(trial_id, state, values)
            if done and trial_id in self._trial_id_to_study_id_and_number:
                self._hold(self._backend.get_trial(trial_id))
            return done
        moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self._backend.put_down(trial_id, state, values, moment)

        def note(trial: FrozenTrial) -> None:
            trial.state = state
            if values is not None:
                trial.values = list(values)
            if state.is_finished():
                trial.datetime_complete = local_time(moment)

        self._note(trial_id, note)
        with self._lock:
            self._held.pop(trial_id, None)
        return True

    # -- reading -----------------------------------------------------------------------------

    def get_study_name_from_id(self, study_id: int) -> str:
        """A study's name, as it is now."""
        return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """The objectives' directions; kept for a study whose trials this process asks for."""
        if study_id in self._backend.held:
            return super().get_study_directions(study_id)
        return self._backend.get_study_directions(study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial, as it is now."""
        with self._lock:
            held = self._held.get(trial_id)
            if held is not None:
                return _snapshot(held)
        return super().get_trial(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials of a study by their numbers, as they are now."""
        self._read_trials_from_remote_storage(study_id)
        with self._lock:
            study = self._studies[study_id]
            known = study.trials
            if states is not None and not any(state in states for state in _ENDED):
                open_trials = sorted(self._unfinished(study), key=lambda trial: trial.number)
                known = {trial.number: trial for trial in open_trials}
            found = list(known.values())
            if states is not None:
                found = [trial for trial in found if trial.state in states]
            return copy.deepcopy(found) if deepcopy else found

    def get_trials_from(self, study_id: int, place: int) -> list[FrozenTrial]:
        """A study's trials from a place on, by their numbers, as they are now; not copied.

        Whoever asks again and again for what is new does not pay for all that is old.
        """
        self._read_trials_from_remote_storage(study_id)
        with self._lock:
            known = self._studies[study_id].trials
            newest = itertools.islice(reversed(known.values()), max(0, len(known) - place))
            return list(newest)[::-1]

    def get_n_trials(
        self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None
    ) -> int:
        """How many trials a study has, in any state or in some."""
        if state is not None:
            states = (state,) if isinstance(state, TrialState) else state
            return len(self.get_all_trials(study_id, deepcopy=False, states=states))
        self._read_trials_from_remote_storage(study_id)
        with self._lock:
            return len(self._studies[study_id].trials)

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        """Learn what has changed, but for the trials held."""
        with self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            newest = self._newest.get(study_id, -1)
            watched = {self._ended[study_id]} if study_id in self._ended else set()
            seen = self._backend.look(study_id, newest, study.unfinished_trial_ids | watched)
            if any(self._is_another(study_id, trial_id, seen) for trial_id in watched):
                # Another study has the number by now.
                study, newest = self._forget(study_id), -1
                seen = self._backend.look(study_id, newest, ())
            changed = {
                trial_id
                for trial_id, state, start in seen
                if not self._knows(trial_id, state, start)
            }
            if changed:
                # A study that was not read before is too many trials to name.
                named = [trial_id for trial_id in changed if trial_id <= newest]
                after = newest if len(changed) > len(named) else None
                for trial in self._backend.get_trials(study_id, named, after):
                    if trial._trial_id in changed or trial._trial_id not in self._held:
                        self._held.pop(trial._trial_id, None)
                        self._keep(study_id, study, trial)
            self._newest[study_id] = max([newest, *(trial_id for trial_id, *_ in seen)])

    def _knows(
        self, trial_id: int, state: TrialState, datetime_start: datetime.datetime | None
    ) -> bool:
        """Whether a trial is still what is known of it."""
        if trial_id not in self._trial_id_to_study_id_and_number:
            return False
        study_id, number = self._trial_id_to_study_id_and_number[trial_id]
        known = self._studies[study_id].trials[number]
        if known.state != state:
            return False
        if state != TrialState.RUNNING:
            return True
        # Another's trial may have reported something since.
        return trial_id in self._held and known.datetime_start == local_time(datetime_start)

    def _is_another(self, study_id: int, ended: int, seen: Sequence[Seen]) -> bool:
        """Whether a trial that has ended is not what it was, and so its study is another."""
        known = self._studies[study_id].trials[self._trial_id_to_study_id_and_number[ended][1]]
        was = (ended, known.state, known.datetime_start)
        return was not in {(trial_id, state, local_time(start)) for trial_id, state, start in seen}

    def _forget(self, study_id: int) -> _StudyInfo:
        """Know nothing of a study any more."""
        numbers = self._trial_id_to_study_id_and_number
        for trial_id in [each for each, (of_study, _) in numbers.items() if of_study == study_id]:
            del numbers[trial_id]
            self._held.pop(trial_id, None)
        self._newest.pop(study_id, None)
        self._ended.pop(study_id, None)
        self._studies[study_id] = _StudyInfo()
        return self._studies[study_id]

    def _unfinished(self, study: _StudyInfo) -> list[FrozenTrial]:
        numbers = (
            self._trial_id_to_study_id_and_number[each][1] for each in study.unfinished_trial_ids
        )
        return [study.trials[number] for number in numbers]

    def _keep(self, study_id: int, study: _StudyInfo, trial: FrozenTrial) -> None:
        """Remember a trial as the database has it."""
        is_new, newest = trial.number not in study.trials, next(reversed(study.trials), -1)
        self._add_trials_to_cache(study_id, [trial])
        if is_new and trial.number < newest:  # They are kept in order.
            study.trials = dict(sorted(study.trials.items()))
        if trial.state.is_finished():
            study.unfinished_trial_ids.discard(trial._trial_id)
            self._ended[study_id] = trial._trial_id
        else:
            study.unfinished_trial_ids.add(trial._trial_id)

    def _hold(self, trial: FrozenTrial) -> None:
        """Hold a trial that was taken up here."""
        with self._lock:
            study_id, number = self._trial_id_to_study_id_and_number[trial._trial_id]
            study = self._studies[study_id]
            study.unfinished_trial_ids.add(trial._trial_id)
            study.trials[number] = self._held[trial._trial_id] = trial

    def _note(self, trial_id: int, change: Callable[[FrozenTrial], None]) -> None:
        """Change what is known of a held trial as the database was changed."""
        with self._lock:
            held = self._held.get(trial_id)
            if held is None:
                return
            trial = copy.copy(held)
            change(trial)
            study_id, number = self._trial_id_to_study_id_and_number[trial_id]
            study = self._studies[study_id]
            study.trials[number] = self._held[trial_id] = trial
            if trial.state.is_finished():
                study.unfinished_trial_ids.discard(trial_id)
                self._ended[study_id] = trial_id


def _add_step(step: TrialStep, trial: FrozenTrial) -> None:
    trial.intermediate_values = {**trial.intermediate_values, step.step: step.value}


def _snapshot(trial: FrozenTrial) -> FrozenTrial:
    """A trial that Optuna may write into, as it does while parameters are proposed."""
    copied = copy.copy(trial)
    copied.params = dict(trial.params)
    copied.distributions = dict(trial.distributions)
    copied.user_attrs = dict(trial.user_attrs)
    copied.system_attrs = dict(trial.system_attrs)
    copied.intermediate_values = dict(trial.intermediate_values)
    return copied
