"""The weights of a study's winner as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from space.errors import CheckpointError, UsageError
from space.files.places import Place, found, read_place
from space.files.writing import write_whole
from storage import RunRecord, Store
from storage.commands.checkpoints import weights_of_run
from trainables.worker.weights import read_weights

__all__ = ["write_weights"]


def write_weights(
    store: Store, study: str, trial: int, output: Path, checkpoints: Place | None
) -> str:
    """Copy the weights of a trial's best run to a file.

    Of a confirmed trial it is the best of its runs on fresh seeds, else the best of its own. "Best"
    goes by the study's first objective; where an epoch has none such, as the seconds of training,
    by the metric that decides which epoch is kept.

    Args:
        store: The store.
        study: The study's name.
        trial: The trial's number.
        output: The file to write.
        checkpoints: Where the study's checkpoints lay; None: where its launches put them.

    Returns:
        Which run's they are, in words.

    Raises:
        UsageError: If no weights of the trial were kept, or the file cannot be written.
        CheckpointError: If they cannot be read.
    """
    study_id = store.study_id(study)
    record = store.study_records()[study_id]
    names = (record.metrics[0], *record.measured.kept_by)
    trial_id = store.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, trial)
    for purpose, words in (("confirm", "fresh seed"), ("search", "replicate")):
        of_trial = [run for run in store.runs(study_id, purpose) if run.trial_id == trial_id]
        kept = [
            (metric.rank(epoch.metrics[metric.name]), run.replicate, path)
            for run, path in _kept(store, study, of_trial, checkpoints)
            for epoch in [read_weights(path).epoch]
            for metric in [record.measured.metric(next(n for n in names if n in epoch.metrics))]
        ]
        if kept:
            _, replicate, path = min(kept)
            try:
                write_whole(output, read_place(path))
            except OSError as error:
                raise UsageError(
                    f"--weights {output}: cannot be written ({error.strerror or error}); name a "
                    "file in a directory that you may write to."
                ) from error
            return f"trial {trial}, {words} {replicate}, the best of {len(kept)}"
    raise UsageError(
        f"--weights: no weights of trial {trial} of study '{study}' were kept: search with "
        "--set keep_weights=true (and --confirm, for those of fresh seeds), or say with "
        "--checkpoints where its launches kept them."
    )


def _kept(
    store: Store, study: str, runs: Sequence[RunRecord], checkpoints: Place | None
) -> list[tuple[RunRecord, Place]]:
    """The runs of which there is a file of weights."""
    commands = {launch.launch_id: launch.command for launch in store.launches()}
    files = []
    for run in runs:
        command = commands.get(run.launch_id, "")
        path = weights_of_run(store.url, study, run, command, checkpoints)
        try:
            if found(path):
                files.append((run, path))
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be looked for ({error})") from error
    return files
