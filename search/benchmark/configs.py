"""From config files to the configs of a benchmark: complete, on one data set, known by hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from space import NamedConfig, Override, RunConfig, load_configs
from space.errors import ModelError, SpaceError, TrainingError, UsageError, nearest
from storage import BenchmarkConfig
from trainables.contract.run_data import RunData
from trainables.finding.find import trainable_of
from trainables.seeds import PROTOCOL

__all__ = [
    "benchmark_configs",
    "load_named",
    "only",
    "resolved",
    "settle_source",
    "settled",
]


def load_named(paths: Sequence[str | Path], changes: Sequence[Override] = ()) -> list[NamedConfig]:
    """Read the configs of some files.

    Args:
        paths: Config files.
        changes: Settings to replace in every config. One that changes a config takes what was
            reported for it away, since the report is of other settings.

    Returns:
        The configs in order.

    Raises:
        SpaceError: If a file or a change is wrong, or two configs have one name.
    """
    found: list[NamedConfig] = []
    for path in paths:
        for named in load_configs(path).configs:
            if named.name in (each.name for each in found):
                raise SpaceError(f"{path}: a second config is named '{named.name}'; rename one.")
            found.append(_changed(named, changes))
    return found


def only(configs: list[NamedConfig], names: Sequence[str] | None) -> list[NamedConfig]:
    """The configs that ``--only`` names, in the files' order.

    Raises:
        UsageError: If there is none of a name.
    """
    if names is None:
        return configs
    known = [named.name for named in configs]
    for name in names:
        if name not in known:
            raise UsageError(
                f"--only: no config is named '{name}'; there are {', '.join(known)}"
                f"{nearest(name, known)}"
            )
    return [named for named in configs if named.name in names]


def _changed(named: NamedConfig, changes: Sequence[Override]) -> NamedConfig:
    config = named.config
    for change in changes:
        try:
            config = config.with_values({change.key: change.value})
        except (ValidationError, AttributeError, TypeError) as error:
            raise SpaceError(
                f"{change.label}: not allowed for '{named.name}'; give a key of its sections "
                f"({', '.join(type(config).sections())}) and a value that this key takes."
            ) from error
    if config == named.config:
        return named
    return named.with_config(config).model_copy(update={"reported": None})


def settle_source(configs: Sequence[NamedConfig]) -> tuple[list[NamedConfig], RunData]:
    """Load the one data set that all configs are run on.

    Args:
        configs: The configs.

    Returns:
        The configs with their data source settled, and the data.

    Raises:
        DataError: If the data cannot be had.
        SpaceError: If the configs want different sources, or one cannot be trained.
    """
    first, *others = (named.config for named in configs)
    for other in others:
        if other.trainable != first.trainable:
            raise SpaceError(
                f"--config: the configs are of {first.trainable} and of {other.trainable}, whose "
                "results cannot be compared; benchmark them apart."
            )
    sources = {config.value("data.source") or "auto" for config in (first, *others)} - {"auto"}
    if len(sources) > 1:
        raise SpaceError(
            f"--config: the configs want different data ({' and '.join(sorted(sources))}); "
            "benchmark them apart."
        )
    source = sources.pop() if sources else None
    _, data = trainable_of(first).settle(on_source(first, source), with_test=True)
    return settled(configs, data.source), data


def on_source(config: RunConfig, source: str | None) -> RunConfig:
    """The config with its data from this source, wherever that lies here."""
    if source is None or "source" not in type(config).sections()["data"].model_fields:
        return config
    return config.with_values({"data.source": source})


def settled(configs: Sequence[NamedConfig], source: str) -> list[NamedConfig]:
    """The configs, complete, on this source.

    Raises:
        SpaceError: If one cannot be trained.
    """
    found = []
    for named in configs:
        config = on_source(named.config, source).without_place()
        try:
            complete = resolved(named.with_config(config), 0)
        except (ModelError, TrainingError) as error:
            raise SpaceError(f"'{named.name}': {error}") from error
        found.append(named.with_config(complete))
    return found


def resolved(named: NamedConfig, seed: int) -> RunConfig:
    """The complete config of one benchmark run."""
    config = named.with_seed(seed)
    complete: RunConfig = trainable_of(config).resolve(config)
    return complete


def benchmark_configs(
    configs: Sequence[NamedConfig], seeds: Iterable[int], *, protocol: int | None = PROTOCOL
) -> list[BenchmarkConfig]:
    """Complete some configs for some seeds.

    Args:
        configs: The configs, their data source settled.
        seeds: At least one.
        protocol: What the runs were trained under, as a config has it: an older one for runs that
            are there already.

    Returns:
        One a config, in order.

    Raises:
        ModelError: If no network has a config's name.
        TrainingError: If a config cannot be trained.
    """
    found, own = [], tuple(seeds)
    for named in configs:
        runs = [resolved(named, seed) for seed in own]
        if protocol != PROTOCOL:
            runs = [run.with_values({"training.protocol": protocol}) for run in runs]
        trainable = trainable_of(runs[0])
        found.append(
            BenchmarkConfig(
                name=named.name,
                config=runs[0],
                config_hashes=tuple(run.config_hash() for run in runs),
                n_parameters=trainable.n_parameters(runs[0]),
                reported=named.reported,
                seeds=own,
            )
        )
    return found
