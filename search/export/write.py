"""The best configs of a study as a file, with their provenance."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.export.config_text import check_output, config_text, write_configs
from search.export.selection import BASELINE_ALONE, Choice, after_baseline, choose
from search.export.weights import write_weights
from space import ConfigFile, NamedConfig
from space.config import SEED_KEYS
from space.errors import UsageError
from space.files.configs import LONGEST_NAME
from space.words import count
from storage import LaunchRecord, RunRecord, Store
from storage.commands.command_line import command_line
from storage.commands.kit import opened, storage_arguments
from storage.connect.engine import translated
from storage.summaries.best import objectives
from storage.tables.attributes import PARENT, STANDARD_ERROR, WARM_START
from trainables.finding.find import read_config

__all__ = ["Exported", "export_study", "shown_values", "write_best"]

BASELINE_IS_BEST = "The baseline is the best trial, so there is nothing to compare with it."
BASELINE_IS_NAMED = (
    "The trial named is the baseline itself, so there is nothing to compare with it."
)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        file: The config file's content.
        note: What is to be said of a baseline that has nothing beside it.
        weights: Which run's weights were written, in words; None where none were asked for.
        benchmark: The command that benchmarks them.
    """

    file: ConfigFile
    note: str | None
    weights: str | None
    benchmark: str


def write_best(options: Namespace) -> Exported:
    """Write the config file, and the weights where they are asked for.

    Args:
        options: The command line's.

    Raises:
        UserError: What the user can mend.
    """
    output = Path(options.output)
    check_output(output)
    rerun = shlex.join(
        ["python", "-m", "search.benchmark", "--config", str(output), "--fresh-seeds"]
    )
    with opened(options.storage) as store:
        benchmark = command_line(
            "search.benchmark",
            [
                *("--config", str(options.output), "--fresh-seeds"),
                *storage_arguments(store.name),
            ],
        )
        file = export_study(
            store,
            options.study,
            top=options.top,
            number=options.trial,
            baseline=options.baseline,
            rerun=rerun,
        )
        weights = None
        if options.weights is not None:
            best = file.configs[1 if options.baseline and len(file.configs) > 1 else 0]
            trial, path = best.provenance["trial"], Path(options.weights)
            weights = write_weights(store, options.study, trial, path, options.checkpoints)
    held, note = file.configs[0].provenance["selection"], None
    if options.baseline and len(file.configs) > 1:
        held = _beside_baseline(file, is_named=options.trial is not None)
    elif options.baseline:
        note = BASELINE_IS_BEST if options.trial is None else BASELINE_IS_NAMED
    lines = [f"Study '{options.study}': {held}.", note, f"Run it again: {rerun}"]
    write_configs(output, config_text(file, "\n".join(line for line in lines if line is not None)))
    return Exported(file=file, note=note, weights=weights, benchmark=benchmark)


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
            choices = after_baseline(store, loaded, choices)
    launches = {launch.launch_id: launch for launch in store.launches(study_id)}
    runs = {run.trial_id: run for run in _first_replicates(store, study_id)}
    configs = []
    for choice in choices:
        parent = choice.trial.user_attrs.get(PARENT)
        if parent is not None:
            raise UsageError(
                f"--study {study}: trial {choice.trial.number} goes on from trial {parent}, and no "
                "single config stands for parameters that changed as it was trained; what it has "
                "are weights, with keep_weights: true, which its page names."
            )
        run = runs.get(choice.trial._trial_id)
        if run is None:
            raise UsageError(
                f"--study {study}: trial {choice.trial.number} was not trained by search.launch, "
                "so its config is not known; name another trial with --trial."
            )
        configs.append(_named(store, loaded, choice, run, launches[run.launch_id], rerun))
    return ConfigFile.of_configs(_file_name(study, configs), configs)


def _file_name(study: str, configs: Sequence[NamedConfig]) -> str:
    """A name with the trials in it: a store keeps one benchmark of a name, and a later export of
    the study with other trials is another one."""
    if len(configs) == 1:
        return configs[0].name
    trials = ", ".join(str(named.provenance["trial"]) for named in configs)
    name = f"{study} trials {trials}"
    return name if len(name) <= LONGEST_NAME else f"{study} {len(configs)} trials"


def _beside_baseline(file: ConfigFile, *, is_named: bool) -> str:
    """What a file holds in which other trials follow the baseline."""
    first, *others = (each.provenance for each in file.configs)
    if is_named:
        return "the baseline and the trial named on the command line"
    is_among = first["selection"] != BASELINE_ALONE
    n, rule = len(others) + is_among, others[0]["selection"]
    if len(first["objectives"]) > 1:
        trials = f"{count(n, 'trial')} {rule}"
    else:
        trials = f"the best trial ({rule})" if n == 1 else f"the {n} best trials"
    return f"{trials}, the baseline first" if is_among else f"the baseline and {trials}"


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
    config = read_config(run.config).without_place()
    trial = choice.trial
    provenance: dict[str, Any] = {
        "study": study.study_name,
        "storage": store.name,
        "trial": trial.number,
        "state": trial.state.name,
        "selection": choice.selection,
        "objectives": _objectives(store, study, trial),
    }
    if WARM_START in trial.user_attrs:
        provenance["warm_start"] = trial.user_attrs[WARM_START]
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
            **{key.partition(".")[2]: config.value(key) for key in SEED_KEYS},
            "sampler_seed": launch.config.get("sampler", {}).get("seed"),
        },
        "code": {"git_commit": launch.git_commit, "git_dirty": launch.git_dirty},
        "libraries": launch.versions,
        "hardware": {key: launch.hardware.get(key) for key in ("processor", "gpus")},
        "rerun": rerun,
    }
    name = f"{study.study_name} trial {trial.number}"
    return NamedConfig.of_config(config, name=name, provenance=provenance)


def _objectives(store: Store, study: optuna.Study, trial: FrozenTrial) -> list[dict[str, Any]]:
    errors = trial.user_attrs.get(STANDARD_ERROR)
    return [
        {
            "metric": metric.name,
            "direction": "maximize" if metric.maximize else "minimize",
            "value": value,
            **({} if errors is None else {"standard_error": errors[index]}),
        }
        for index, (metric, value) in enumerate(
            zip(objectives(store, study._study_id), trial.values, strict=True)
        )
    ]


def shown_values(named: NamedConfig) -> str:
    """What the search said of a config, after what fresh seeds say of it."""
    measured = named.config_type.measured
    searched = ", ".join(
        f"{each['metric']} {measured.metric(each['metric']).show(each['value'])}"
        for each in named.provenance["objectives"]
    )
    confirmed = named.provenance.get("confirmed")
    if confirmed is None:
        return searched
    name, std = named.provenance["objectives"][0]["metric"], confirmed["std"]
    notation = measured.metric(name).notation([confirmed["mean"]])
    seeds = "one fresh seed" if std is None else "fresh seeds"
    fresh = f"{name} {notation.mean(confirmed['mean'], std)}{notation.unit} on {seeds}"
    was_pruned = named.provenance["state"] == TrialState.PRUNED.name
    return f"{fresh}; the search {'stopped it at' if was_pruned else 'said'} {searched}"
