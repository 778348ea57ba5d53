"""Two to eight trials of a study, or configs of a benchmark, beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.figures.trained import compared_panels
from dashboards.numbers.study.trials import read_trials
from dashboards.numbers.study.view import recorded_space
from dashboards.numbers.trained import Trained, trained_config, trained_trial
from dashboards.pages.documents import Document, drawn, render
from dashboards.pages.trained.page import differences_sheet
from dashboards.statistics.means import summarise
from dashboards.tables.drawing import Sheet
from dashboards.words import show_mean
from space.metrics import UNKNOWN, Metric
from space.words import NOTHING, STATES, count, number
from storage import BenchmarkRecord, Store
from storage.summaries.best import objectives
from storage.summaries.confirmed import confirmed_trials

__all__ = ["FEWEST", "MOST", "compared_configs", "compared_trials"]

FEWEST, MOST = 2, 8
"""How many can be compared: more lines than colours cannot be told apart."""


def compared_trials(
    store: Store, study_id: int, name: str, wanted: Sequence[int], *, is_running: bool
) -> Document:
    """Compare some trials.

    Args:
        store: The store.
        study_id: The study.
        name: Its name.
        wanted: Numbers of its trials, which are there; the others are compared with the first.
        is_running: Whether a launch of the study is alive.

    Raises:
        StorageError: If the store cannot be read.
    """
    record = store.study_records().get(study_id)
    measured = record.measured if record else UNKNOWN
    metrics = objectives(store, study_id)
    trials, _ = read_trials(store, study_id, store.runs(study_id, "search"))
    by_number = {trial.number: trial for trial in trials}
    chosen = [by_number[each] for each in wanted]
    page, launches = f"/study/{study_id}", store.launches(study_id)
    space = recorded_space(launches[-1].config) if launches else None
    paths = space.parameter_paths if space else {}
    compared = [
        trained_trial(store, each, measured, metrics[0], f"{page}/trial/{each.number}", paths)
        for each in chosen
    ]
    notations = [
        metric.notation(next(iter(trial.values[place:]), None) for trial in chosen)
        for place, metric in enumerate(metrics)
    ]
    values = Sheet(
        columns=(
            "",
            "state",
            *(metric.heading for metric in metrics),
            "epochs",
            "training time (s)",
        ),
        left=frozenset({0, 1}),
        rows=[
            (
                f"trial {trial.number}" + (", the baseline" if trial.is_baseline else ""),
                STATES[trial.state],
                *(
                    notation.value(next(iter(trial.values[place:]), None))
                    for place, notation in enumerate(notations)
                ),
                number(trial.n_epochs),
                number(trial.seconds),
            )
            for trial in chosen
        ],
    )
    confirmed = {each.trial_number: each for each in confirmed_trials(store, study_id)}
    seeds = {
        f"trial {each}": dict(zip(confirmed[each].replicates, confirmed[each].values, strict=True))
        for each in wanted
        if each in confirmed
    }
    return _document(
        compared,
        title=f"Trials {', '.join(map(str, wanted))}",
        is_running=is_running,
        up=((page, name), (f"{page}/trials", "all trials")),
        values=values,
        paired=_paired(seeds, metrics[0], "fresh seed"),
        wanted=", ".join(map(str, wanted)),
        lacking="Fewer than two of them were trained again on fresh seeds, so no seeds are paired.",
    )


def compared_configs(store: Store, record: BenchmarkRecord, wanted: Sequence[str]) -> Document:
    """Compare some configs of a benchmark on the test split.

    Args:
        store: The store.
        record: The benchmark.
        wanted: Names of its configs; the others are compared with the first.

    Raises:
        StorageError: If the store cannot be read.
    """
    page, metric = f"/benchmark/{record.benchmark_id}", record.measured.judged_by
    by_name = {config.name: config for config in record.configs}
    running = {run.config_hash for run in store.runs(purpose="benchmark", state="running")}
    compared, seeds = [], {}
    for name in wanted:
        config = by_name[name]
        places = {config_hash: seed for seed, config_hash in config.by_seed.items()}
        done: dict[int, tuple[Any, float]] = {}
        for run, result in store.results(places):
            if result.data_fingerprint == record.data_fingerprint:
                done.setdefault(places[run.config_hash], (run, result[metric.name]))
        runs = [run for _, (run, _) in sorted(done.items())]
        compared.append(trained_config(store, config, runs, record.measured, page))
        seeds[name] = {seed: value for seed, (_, value) in sorted(done.items())}
    values = Sheet(
        columns=("config", metric.heading, "seeds", "parameters"),
        rows=[
            (
                name,
                show_mean(summarise(own), metric.notation(own)) if own else NOTHING,
                str(len(own)),
                f"{by_name[name].n_parameters:,}",
            )
            for name in wanted
            for own in [list(seeds[name].values())]
        ],
        notes=["mean ± standard deviation over the seeds that are done"],
    )
    return _document(
        compared,
        title=f"{count(len(wanted), 'config')} of {record.name}",
        is_running=any(running.intersection(by_name[name].config_hashes) for name in wanted),
        up=((page, record.name), (f"{page}/runs", "all runs")),
        values=values,
        paired=_paired(seeds, metric, "seed"),
        wanted=None,
        lacking="No two of them have a seed in common yet.",
    )


def _document(
    compared: Sequence[Trained],
    *,
    title: str,
    is_running: bool,
    up: Sequence[tuple[str, str]],
    values: Sheet,
    paired: Sequence[Sheet],
    wanted: str | None,
    lacking: str,
) -> Document:
    context = {
        "up": up,
        "compared": compared,
        "wanted": wanted,
        "most": MOST,
        "values": drawn([values, differences_sheet(compared)]),
        "paired": drawn(paired),
        "lacking": lacking,
    }
    return Document(
        title=title,
        kind="comparison",
        is_running=is_running,
        summary=render("trained/compare_summary.html", **context),
        details=render("trained/compare_details.html", **context),
        panels=compared_panels(compared),
    )


def _paired(seeds: Mapping[str, Mapping[int, float]], metric: Metric, what: str) -> list[Sheet]:
    """A row a seed: the values, and how far each is from the first one's on the same seed."""
    names = [name for name, values in seeds.items() if values]
    first, *others = names or [""]
    common = set().union(*(seeds[name].keys() & seeds[first].keys() for name in others))
    if not common:
        return []
    notation = metric.notation(value for name in names for value in seeds[name].values())

    def difference(name: str, seed: int) -> float | None:
        one, other = seeds[name].get(seed), seeds[first].get(seed)
        return None if one is None or other is None else one - other

    every = sorted({seed for name in names for seed in seeds[name]})
    rows = [
        (
            str(seed),
            *(notation.value(seeds[name].get(seed)) for name in names),
            *(notation.signed(difference(name, seed)) for name in others),
        )
        for seed in every
    ]
    differences = {
        name: [d for seed in every if (d := difference(name, seed)) is not None] for name in others
    }
    rows.append(
        (
            "mean",
            *(show_mean(summarise(list(seeds[name].values())), notation) for name in names),
            *(
                show_mean(summarise(own), notation) if own else NOTHING
                for own in differences.values()
            ),
        )
    )
    return [
        Sheet(
            columns=(what, *names, *(f"{name} - {first}" for name in others)),
            left=frozenset(),
            rows=rows,
            notes=[
                f"{metric.title}, {metric.better} is better. Whether a difference is more than "
                "chance is said where all comparisons are counted: on the page of the study or "
                "benchmark"
            ],
        )
    ]
