"""Write a study's best config: ``python -m search.export --study NAME --output best/NAME.yaml``.

The file is complete in itself: no setting is left to a default that may change, and its provenance
says which selection it rests on. A config that was confirmed on fresh seeds goes before one that
was merely best in the search.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dashboards.numbers.confirmed import ConfirmedTrial, confirmed_trials
from search.config_text import check_output, config_text, write_configs
from search.provenance import command_line
from space import ConfigFile, NamedConfig, RunConfig
from space.errors import UsageError
from storage import LaunchRecord, RunRecord, Store, open_store
from storage.attributes import BASELINE, STANDARD_ERROR
from storage.cli import (
    EXIT_DONE,
    Parser,
    add_storage_option,
    configure_logging,
    default_storage,
    positive_int,
    run_command,
    storage_arguments,
)
from storage.engine import translated

__all__ = ["Choice", "choose", "export_study", "main"]

logger = logging.getLogger(__name__)

N_SEEDS = 10


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A trial whose config is exported.

    Attributes:
        trial: The trial, complete.
        selection: The rule by which it was chosen.
        confirmed: Its values on fresh seeds, if all that were asked for are there.
    """

    trial: FrozenTrial
    selection: str
    confirmed: ConfirmedTrial | None


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: Its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: What the user can mend.
    """
    options = build_parser().parse_args(argv)
    configure_logging(verbose=options.verbose)
    output = Path(options.output)
    check_output(output)
    rerun = shlex.join(
        ["python", "-m", "search.benchmark", "--config", str(output), "--seeds", str(N_SEEDS)]
    )
    store = open_store(default_storage(options.storage), create=False)
    try:
        file = export_study(
            store,
            options.study,
            top=options.top,
            number=options.trial,
            baseline=options.baseline,
            rerun=rerun,
        )
    finally:
        store.close()
    first = file.configs[0].provenance
    comment = f"Study '{options.study}': {first['selection']}.\nRun it again: {rerun}"
    write_configs(output, config_text(file, comment))
    benchmark = command_line(
        "search.benchmark",
        ["--config", str(output), "--seeds", str(N_SEEDS), *storage_arguments(store.name)],
    )
    if options.format == "json":
        found = {
            "study": options.study,
            "output": str(output),
            "configs": [{"name": each.name, **each.provenance} for each in file.configs],
            "next": benchmark,
        }
        json.dump(found, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for each in file.configs:
            sys.stdout.write(f"{each.name}: {_values(each)} ({each.provenance['selection']})\n")
        sys.stdout.write(f"written to:    {output}\nbenchmark it:  {benchmark}\n")
    return EXIT_DONE


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m search.export",
        description="Write the best config of a study, complete and with its provenance.",
    )
    add = parser.add_argument
    add("--study", required=True, metavar="NAME", help="the study")
    add("--output", required=True, metavar="FILE", help="the config file to write")
    add_storage_option(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--top",
        type=positive_int,
        metavar="K",
        help="the K best distinct configs; default: 1, or the whole front of several objectives",
    )
    which.add_argument("--trial", type=_number, metavar="N", help="this trial and no other")
    add("--baseline", action="store_true", help="the study's baseline first: to compare with it")
    add("--format", choices=("text", "json"), default="text", help="of what stdout says")
    add("-v", "--verbose", action="store_true", help="let the libraries' own messages through")
    return parser


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"'{text}' is not the number of a trial")
    return int(text)


def export_study(
    store: Store,
    study: str,
    *,
    top: int | None = None,
    number: int | None = None,
    baseline: bool = False,
    rerun: str,
) -> ConfigFile:
    """A study's best configs with their provenance.

    Args:
        store: The store.
        study: The study's name.
        top: As for `choose`.
        number: As for `choose`.
        baseline: Put the study's first baseline before them.
        rerun: The command that benchmarks the file.

    Returns:
        The config file, the best config first, or after the baseline.

    Raises:
        StudyNotFoundError: If the store does not hold the study.
        UsageError: If nothing can be exported.
    """
    study_id = store.study_id(study)
    with translated(store.url):
        loaded = optuna.load_study(study_name=study, storage=store.optuna_storage)
        choices = choose(store, loaded, top=top, number=number)
        if baseline:
            choices = _after_baseline(loaded, choices)
    launches = {launch.launch_id: launch for launch in store.launches(study_id)}
    runs = {run.trial_id: run for run in _first_replicates(store, study_id)}
    configs = []
    for choice in choices:
        run = runs.get(choice.trial._trial_id)
        if run is None:
            raise UsageError(
                f"--study {study}: trial {choice.trial.number} was not trained by search.launch, "
                "so its config is not known; name another trial with --trial."
            )
        configs.append(_named(store, loaded, choice, run, launches[run.launch_id], rerun))
    return ConfigFile(name=study, configs=tuple(configs))


def choose(
    store: Store, study: optuna.Study, *, top: int | None = None, number: int | None = None
) -> list[Choice]:
    """The trials to export, best first.

    Args:
        store: The store.
        study: The study; of several objectives the Pareto front, in the first one's order.
        top: So many distinct configs; None: one, or the whole front.
        number: This trial alone, whatever others there are.

    Returns:
        At least one trial: those that were confirmed on every fresh seed, by their mean there, then
        the best complete ones.

    Raises:
        UsageError: If there is no complete trial, or the one named is not.
    """
    trials = study.get_trials(deepcopy=False)
    metrics = _metrics(store, study)
    found = confirmed_trials(store, study._study_id, metrics[0]) if metrics else []
    if any(not each.is_finished for each in found):
        logger.warning("not every confirmation run is done; those of unfinished trials are unused")
    confirmed = {each.trial_number: each for each in found if each.is_finished}
    if number is not None:
        trial = _named_trial(study.study_name, trials, number)
        return [
            Choice(
                trial=trial,
                selection="trial named on the command line",
                confirmed=confirmed.get(number),
            )
        ]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise UsageError(
            f"--study {study.study_name}: no trial is complete ({_counts(trials)}); search on, or "
            "name another study."
        )
    n_tried = len({run.trial_id for run in store.runs(study._study_id, "confirm")})
    ranked = _ranked(store, study, complete, confirmed, n_tried)
    wanted = top or (1 if len(study.directions) == 1 else len(ranked))
    distinct: list[Choice] = []
    for choice in ranked:
        if all(choice.trial.params != other.trial.params for other in distinct):
            distinct.append(choice)
    if top is not None and len(distinct) < top:
        logger.warning("--top %d: there are %d distinct configs", top, len(distinct))
    return distinct[:wanted]


def _after_baseline(study: optuna.Study, choices: list[Choice]) -> list[Choice]:
    """The choices with the study's first baseline before them, whether it was pruned or not."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    found = next((trial for trial in ended if BASELINE in trial.user_attrs), None)
    if found is None:
        raise UsageError(
            f"--baseline: study '{study.study_name}' has no baseline that was trained; leave the "
            "option out, or give its space file baselines."
        )
    others = [choice for choice in choices if choice.trial.number != found.number]
    own = [choice for choice in choices if choice.trial.number == found.number]
    first = own[0] if own else Choice(trial=found, selection="baseline", confirmed=None)
    return [first, *others]


def _ranked(
    store: Store,
    study: optuna.Study,
    complete: Sequence[FrozenTrial],
    confirmed: dict[int, ConfirmedTrial],
    n_tried: int,
) -> list[Choice]:
    """Every trial that may be exported, best first, with the rule that puts it there."""
    sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
    pool = sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))
    n_trials = len(complete)
    if len(study.directions) > 1:
        front = {trial.number for trial in study.best_trials}
        return [
            Choice(
                trial=trial,
                selection=f"on the Pareto front of {n_trials} complete trials",
                confirmed=confirmed.get(trial.number),
            )
            for trial in pool
            if trial.number in front
        ]
    runs = store.runs(study._study_id, "search")
    n_seeds = 1 + max((run.replicate for run in runs), default=0)
    seeds = "one seed each" if n_seeds == 1 else f"{n_seeds} seeds each"
    # Among them may be a baseline that the search pruned.
    by_number = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    choices = [
        Choice(
            trial=by_number[number],
            selection=f"confirmed: {_rank(rank)} of {n_tried} on {len(each.values)} fresh seeds",
            confirmed=each,
        )
        for rank, (number, each) in enumerate(confirmed.items())
    ]
    for rank, trial in enumerate(pool):
        if trial.number not in confirmed:
            selection = f"{_rank(rank)} of {n_trials} complete trials on {seeds}"
            choices.append(Choice(trial=trial, selection=selection, confirmed=None))
    return choices


def _rank(rank: int) -> str:
    return "best" if rank == 0 else f"number {rank + 1}"


def _named_trial(study: str, trials: Sequence[FrozenTrial], number: int) -> FrozenTrial:
    if number >= len(trials):
        held = f"it has trials 0 to {len(trials) - 1}" if trials else "it has no trials"
        raise UsageError(f"--trial {number}: study '{study}' has no such trial; {held}.")
    trial = trials[number]
    if trial.state != TrialState.COMPLETE:
        raise UsageError(
            f"--trial {number}: the trial is {trial.state.name}, and only a complete one stands "
            "for its config; name another, or leave the choice to the command."
        )
    return trial


def _counts(trials: Sequence[FrozenTrial]) -> str:
    states = [trial.state.name for trial in trials]
    return ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states)) or "none"


def _metrics(store: Store, study: optuna.Study) -> list[str]:
    record = store.study_records().get(study._study_id)
    return [] if record is None else record.metrics


def _first_replicates(store: Store, study_id: int) -> list[RunRecord]:
    return [run for run in store.runs(study_id, "search") if run.replicate == 0]


def _named(
    store: Store,
    study: optuna.Study,
    choice: Choice,
    run: RunRecord,
    launch: LaunchRecord,
    rerun: str,
) -> NamedConfig:
    """A trial's config with its provenance."""
    stored = RunConfig.model_validate(run.config)
    config = stored.model_copy(update={"data": stored.data.model_copy(update={"root": None})})
    trial = choice.trial
    provenance: dict[str, Any] = {
        "study": study.study_name,
        "storage": store.name,
        "trial": trial.number,
        "state": trial.state.name,
        "selection": choice.selection,
        "objectives": _objectives(store, study, trial),
    }
    if choice.confirmed is not None:
        values = list(choice.confirmed.values)
        provenance["confirmed"] = {
            "mean": choice.confirmed.mean,
            "std": stdev(values) if len(values) > 1 else None,
            "values": values,
        }
    provenance |= {
        "params": dict(trial.params),
        "best_epoch": run.best_epoch,
        "data": {"source": launch.data_source, "fingerprint": launch.data_fingerprint},
        "seeds": {
            "data_seed": config.data.data_seed,
            "training_seed": config.training.training_seed,
            "sampler_seed": launch.config.get("sampler", {}).get("seed"),
        },
        "code": {"git_commit": launch.git_commit, "git_dirty": launch.git_dirty},
        "libraries": launch.versions,
        "hardware": {key: launch.hardware.get(key) for key in ("processor", "gpus")},
        "rerun": rerun,
    }
    return NamedConfig(
        name=f"{study.study_name} trial {trial.number}",
        data=config.data,
        model=config.model,
        training=config.training,
        provenance=provenance,
    )


def _objectives(store: Store, study: optuna.Study, trial: FrozenTrial) -> list[dict[str, Any]]:
    errors = trial.user_attrs.get(STANDARD_ERROR)
    return [
        {
            "metric": metric,
            "direction": direction.name.lower(),
            "value": value,
            **({} if errors is None else {"standard_error": errors[index]}),
        }
        for index, (metric, direction, value) in enumerate(
            zip(_metrics(store, study), study.directions, trial.values, strict=True)
        )
    ]


def _values(named: NamedConfig) -> str:
    """What the search said of a config, after what fresh seeds say of it."""
    searched = ", ".join(
        f"{each['metric']} {each['value']:.4g}" for each in named.provenance["objectives"]
    )
    confirmed = named.provenance.get("confirmed")
    if confirmed is None:
        return searched
    metric, spread = named.provenance["objectives"][0]["metric"], confirmed["std"] or 0.0
    fresh = f"{metric} {confirmed['mean']:.4f} ± {spread:.4f} on fresh seeds"
    return f"{fresh}; the search said {searched}"


if __name__ == "__main__":
    run_command(main)
