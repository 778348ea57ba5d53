"""A study's best configs as a file."""

from __future__ import annotations

from pathlib import Path

from search.api.arguments import options_of
from search.api.studies import Study
from search.export.__main__ import main as export_command
from search.export.write import write_best
from space import ConfigFile

__all__ = ["export"]


def export(
    study: str | Study,
    output: str | Path,
    *,
    storage: str | None = None,
    top: int | None = None,
    trial: int | None = None,
    baseline: bool = False,
    weights: str | Path | None = None,
    checkpoints: str | Path | None = None,
) -> ConfigFile:
    """Write the best config of a study, complete and with its provenance.

    Args:
        study: The study, or its name.
        output: The config file to write.
        storage: The store's URL; default: the study's, else as for `search.launch`.
        top: How many of the best distinct configs; default: 1, or the whole front of several
            objectives.
        trial: This trial's; default: the best's.
        baseline: Put the study's baseline first, to compare with it.
        weights: A file for the weights of the best config's best run; they were kept where the
            space says ``keep_weights: true``.
        checkpoints: Where they were kept; default: where the study's launches kept them.

    Returns:
        What the file holds, as `search.benchmark` takes it.

    Raises:
        UserError: What the user can mend.
    """
    name, url = (study.name, study.url) if isinstance(study, Study) else (study, None)
    options = options_of(
        export_command,
        study=name,
        output=output,
        storage=storage or url,
        top=top,
        trial=trial,
        baseline=baseline,
        weights=weights,
        checkpoints=checkpoints,
    )
    return write_best(options).file
