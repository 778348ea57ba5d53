"""A study as an object: searched, looked at, asked for trials."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.pages.documents import Document
from dashboards.pages.study_page import study_document
from search.api.arguments import Callbacks, Settings, options_of
from search.api.asked import AskedTrial
from search.api.frames import frame, trial_records
from search.api.notebook import Shown, display_for, quiet
from search.api.trials import Asking
from search.export.write import export_study
from search.launch.__main__ import main as launch_command
from search.launch.request import read_request
from search.launch.run import launch as run_launch
from space import RunConfig, SpaceFile, read_space_file
from space.errors import NoStudiesError, StudyNotFoundError
from space.words import STATES, count, joined
from storage import Store
from storage.commands.kit import default_storage, opened
from storage.connect.engine import parse_url, redact

__all__ = ["SpaceLike", "Study", "epoch_rows", "launch", "open_study"]

SpaceLike = str | Path | Mapping[str, Any]
"""A search-space file, the name of a shipped one, or what such a file would hold."""

MAPPING = "a mapping"
"""What sentences call a space that is in no file."""
FROM_PYTHON = "search.launch(...)"
"""What the store has for the command of a launch whose space is in no file."""


class Study(Shown):
    """A study in a store. Whatever is asked of it is read anew, also while a launch works on it.

    Attributes:
        name: Its name.
        storage: Its store's name, without a password.
        url: Its store's URL, with one where it has one.
        ended: How the launch that returned it ended: "done", "plateau", "time limit" or
            "interrupted"; None where none did.
    """

    def __init__(
        self,
        name: str,
        storage: str | None = None,
        *,
        space: SpaceFile | None = None,
        ended: str | None = None,
    ) -> None:
        """Use `open_study`, which checks that it is there."""
        self.name = name
        self.url = default_storage(storage)
        self.storage = redact(parse_url(self.url))
        self.ended = ended
        self._space = space
        self._asking: Asking | None = None
        self._lock = threading.Lock()

    @property
    def view(self) -> StudyView:
        """All that pages and reports show of it, as numbers."""
        with self._opened() as store:
            return read_study(store, self.name)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        return self.view.counts

    @property
    def best(self) -> StudyTrial | None:
        """The best complete trial of the search, by the first objective; None without one.

        Its value is optimistic: see `verdict`.
        """
        return self.view.best

    @property
    def baseline(self) -> StudyTrial | None:
        """The baseline that counts; None without one."""
        return self.view.baseline

    @property
    def confirmation(self) -> Confirmation | None:
        """What fresh seeds say of the best trials; None while nothing is confirmed."""
        return self.view.confirmation

    def trials(self) -> Any:
        """A row a trial.

        Returns:
            A pandas DataFrame with the trial's number as index, where pandas is installed; else a
            list of dictionaries. Columns: state, each objective, each parameter, epochs, seconds,
            is_baseline, warm_start (the earlier study's trial that it was queued from) and reason.
            Where an objective or a parameter is called like another column, ``objectives.`` or
            ``params.`` stands before it; what nobody recorded of another tool's study is None.
        """
        return frame(trial_records(self.view), "number")

    def epochs(self) -> Any:
        """A row an epoch of the search's runs: trial, replicate, epoch, each metric, seconds.

        Returns:
            As `trials`.
        """
        with self._opened() as store:
            return frame(epoch_rows(store, self.name))

    def config(self, trial: int | None = None) -> RunConfig:
        """The complete config of a trial.

        Args:
            trial: Its number; default: the one that `search.export` would choose.

        Raises:
            UsageError: If there is none.
        """
        with self._opened() as store:
            found = export_study(store, self.name, number=trial, rerun="")
        return found.configs[0].config

    def ask(self) -> AskedTrial | None:
        """The next trial for this program to train: what a worker of a launch would be given.

        The first call begins a launch under its own lease, which lasts until `close`, or until the
        program ends, however it ends: what is open then goes on elsewhere.

        Returns:
            The trial; None once the study's budget is spent.

        Raises:
            UserError: If the study, the store or the data do not allow it.
        """
        with self._lock:
            if self._asking is None:
                self._asking = Asking(self.url, self.name, self._space)
        return self._asking.ask()

    def report(
        self,
        trial: AskedTrial,
        metrics: Mapping[str, float],
        *,
        replicate: int = 0,
        epoch: int | None = None,
    ) -> bool:
        """Report an epoch of a trial.

        Args:
            trial: One of `ask`.
            metrics: Name with its split, such as ``"val_error"`` -> value; the objectives at the
                least.
            replicate: Which of its runs, from 0.
            epoch: Which epoch, from 1; default: the one after the last that was reported here.

        Returns:
            Whether the run goes on: not where it has all its epochs, was pruned or has failed.

        Raises:
            UsageError: If a metric is missing or of the test split.
            LeaseLostError: If this program was taken for dead, and its trials are another's.
        """
        return self._session().report(trial, metrics, replicate, epoch)

    def tell(self, trial: AskedTrial, *, failure: str | None = None) -> str:
        """How a trial ended, or that it cannot go on.

        A trial with all its epochs has ended by itself, and so has one that was pruned.

        Args:
            trial: One of `ask`.
            failure: Why it cannot go on: it is FAIL, with this reason.

        Returns:
            Its state: "COMPLETE", "PRUNED" or "FAIL".

        Raises:
            UsageError: If it has epochs left and no reason is given.
        """
        return self._session().tell(trial, failure)

    def close(self) -> None:
        """Put the trials that are open back, for others to go on with."""
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def __enter__(self) -> Study:
        """Begin a block at whose end the study is closed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Where it is, how far it is, what it found."""
        try:
            view = self.view
        except (NoStudiesError, StudyNotFoundError):
            return f"Study '{self.name}' in {self.storage}: not begun yet"
        counts = view.counts
        states = [f"{counts[state]} {word}" for state, word in STATES.items() if counts[state]]
        trials = f"{count(len(view.trials), 'trial')}" + (f": {joined(states)}" if states else "")
        return f"Study '{self.name}' in {self.storage}: {trials}. {self.verdict}"

    def _document(self) -> Document:
        """See `Shown._document`."""
        with self._opened() as store:
            return study_document(store, self.name, is_served=False)

    def _opened(self) -> AbstractContextManager[Store]:
        return opened(self.url)

    def _session(self) -> Asking:
        if self._asking is None:
            raise ValueError("no trial was asked for")
        return self._asking


def epoch_rows(store: Store, study: str, number: int | None = None) -> list[dict[str, Any]]:
    """A row an epoch of a study's search: see `Study.epochs`.

    Args:
        store: The store.
        study: The study's name.
        number: Only those of this trial.

    Raises:
        StudyNotFoundError: If the store does not hold it.
    """
    study_id = store.study_id(study)
    with store.guarded():
        trials = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
    numbers = {trial._trial_id: trial.number for trial in trials if number in (None, trial.number)}
    some = None if number is None else list(numbers)
    runs = store.runs(study_id, "search", trial_ids=some)
    epochs = store.epochs(run.run_id for run in runs)
    return [
        {
            "trial": numbers.get(run.trial_id or 0),
            "replicate": run.replicate,
            "epoch": epoch.epoch,
            **epoch.metrics,
            "seconds": epoch.seconds,
        }
        for run in runs
        for epoch in epochs[run.run_id]
    ]


def launch(
    space: SpaceLike,
    *,
    study: str | None = None,
    storage: str | None = None,
    trials: int | None = None,
    time_limit: str | float | None = None,
    seed: int | None = None,
    set: Settings | None = None,
    concurrency: int | None = None,
    confirm: int | None = None,
    confirm_seeds: int | None = None,
    warm_start: str | None = None,
    callbacks: Callbacks = (),
    ray_address: str | None = None,
    checkpoints: str | Path | None = None,
    progress: bool = True,
    verbose: bool = False,
) -> Study:
    """Search hyperparameters, or go on with a search that was stopped, however it was stopped.

    As the command ``search launch``: Ctrl-C, or a notebook's button to stop, ends it in order, and
    the same call goes on.

    Args:
        space: The search-space file, the name of a shipped one, or what such a file would hold.
        study: The study's name; default: the file's.
        storage: The store's URL; default: the environment's SEARCH_STORAGE, else
            ``results/search.db``.
        trials: Trials in all; default: the file's.
        time_limit: When to stop, in seconds or as in ``"10m"``; default: the file's.
        seed: Of the sampler; default: the file's.
        set: Dotted path -> value, laid over the file's settings.
        concurrency: The most workers at once; default: the file's, else as many as fit.
        confirm: How many of the best configs are confirmed on fresh seeds; default: the file's.
        confirm_seeds: On how many seeds each; default: the file's.
        warm_start: An earlier study whose best trials are tried first; default: the file's.
        callbacks: Who is told of the runs beside the store: names such as "tensorboard", or
            mappings with a name and options; default: the file's, else nobody.
        ray_address: A Ray cluster to join; default: a Ray of its own on this machine.
        checkpoints: Where unfinished runs lie; default: beside an SQLite store, else below
            ``results``.
        progress: Whether its course is shown, in a notebook below the cell, else on stderr.
        verbose: Let the libraries' own messages through.

    Returns:
        The study.

    Raises:
        UserError: What the user can mend, in one sentence.
    """
    tree = space if isinstance(space, Mapping) else None
    options = options_of(
        launch_command,
        space=MAPPING if isinstance(space, Mapping) else space,
        study=study,
        storage=storage,
        trials=trials,
        time_limit=f"{time_limit}s" if isinstance(time_limit, int | float) else time_limit,
        seed=seed,
        set=set,
        concurrency=concurrency,
        confirm=confirm,
        confirm_seeds=confirm_seeds,
        warm_start=warm_start,
        callbacks=callbacks,
        ray_address=ray_address,
        checkpoints=checkpoints,
        verbose=verbose,
    )
    if tree is not None:
        options.typed = FROM_PYTHON
    file = read_request(options, tree)
    with quiet(verbose=verbose):
        result = run_launch(file, options, display=display_for(progress))
    return Study(result.plan.space.study, options.storage, ended=result.outcome.status)


def open_study(
    study: str | None = None, *, storage: str | None = None, space: SpaceLike | None = None
) -> Study:
    """Open a study, to look at it or to train its trials by oneself.

    Args:
        study: Its name; default: the space's.
        storage: As for `launch`.
        space: What it searches, as for `launch`; needed only for a study that is not there yet,
            which the first `Study.ask` creates.

    Returns:
        The study.

    Raises:
        UserError: If the store cannot be opened, or it holds no such study and no space is given.
    """
    if space is None:
        if study is None:
            raise TypeError("open_study() needs a study's name or a space")
        with opened(default_storage(storage)) as store:
            store.study_id(study)
        return Study(study, storage)
    name = {} if study is None else {"study": study}
    if isinstance(space, Mapping):
        file = SpaceFile.of({**space, **name}, MAPPING, ())
    else:
        file = read_space_file(space, [f"{key}={value}" for key, value in name.items()])
    return Study(file.forms()[0].study, storage, space=file)
