"""The searches of the reproduction and the benchmarks of what they found."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.numbers.benchmark import BenchmarkView, read_benchmark
from dashboards.numbers.origins import study_launches
from dashboards.numbers.results import ConfigResult
from dashboards.numbers.settings import differing_settings
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.numbers.tables import benchmark_table
from dashboards.story import (
    benchmark_outcome,
    benchmark_terms,
    confirmation_outcome,
    how_it_went,
    question,
    study_outcome,
)
from dashboards.tables.drawing import draw, escape_markdown
from dashboards.tables.formats import comparison_sheet, report_sheet, results_sheet
from dashboards.tables.origins import study_launches_sheet
from dashboards.tables.study import (
    best_sheet,
    confirmation_sheet,
    space_sheet,
    terms_sheet,
)
from search.reproduction.aux_weight import grid_runs, is_grid
from space import RunConfig
from space.words import number
from storage import BenchmarkConfig, RunRecord, Store
from storage.benchmarks import load_benchmarks
from storage.connect.engine import translated

__all__ = ["Searches", "read_searches", "searches_section", "traced_searches"]

N_BEST = 3
_OF_A_ROW = (
    "model.name",
    "model.width",
    "model.options",
    "data.source",
    "data.n_train_pairs",
    "data.validation_fraction",
    "data.n_test_pairs",
    "data.augment",
    "training.epochs",
    "training.batch_size",
)
"""What configs of one row of the report have in common."""


@dataclass(frozen=True)
class Searches:
    """What the section is about.

    Attributes:
        studies: Every study with a complete trial but the grid searches, by name.
        benchmarks: Those with other configs than the tables' and a result, in the order in which
            they were first asked for.
    """

    studies: tuple[StudyView, ...]
    benchmarks: tuple[BenchmarkView, ...]


def read_searches(store: Store, rows: Sequence[BenchmarkConfig]) -> Searches:
    """Read the searches and benchmarks of a store.

    Args:
        store: The store.
        rows: The report's rows: a benchmark of nothing else is one of its tables.
    """
    of_tables = {each for row in rows for each in row.config_hashes}
    with translated(store.url):
        names = [study.study_name for study in store.optuna_storage.get_all_studies()]
    studies = (read_study(store, name) for name in sorted(names) if not is_grid(name))
    benchmarks = (
        read_benchmark(store, record)
        for record in load_benchmarks(store)
        if not all(of_tables.issuperset(config.config_hashes) for config in record.configs)
    )
    return Searches(
        studies=tuple(view for view in studies if view.best is not None),
        benchmarks=tuple(view for view in benchmarks if view.n_done),
    )


def searches_section(store: Store, found: Searches, rows: Sequence[BenchmarkConfig]) -> str:
    """What searches found, what fresh seeds say of it, and what its benchmarks measured.

    Args:
        store: The store.
        found: What was read off it.
        rows: The report's rows. A benchmark's config is put beside the row of the same network
            that was trained for as long on as much data of the same kind.

    Returns:
        The section, in Markdown; the same for the same store.
    """
    blocks = [
        "## Searches and the benchmarks of what they found\n",
        "A search compares its trials by validation errors. Its best configs and its baseline are "
        "trained again on fresh seeds, which decide. Some of them are benchmarked on seeds that no "
        "search or confirmation uses (from 0 on, those of the tables above), as are settings of "
        "the authors' protocol beside ours: of all these runs, only a benchmark's read the "
        "test images.\n",
    ]
    if not found.studies and not found.benchmarks:
        blocks[1:] = ["Not yet run.\n"]
    blocks += [block for view in found.studies for block in _study(view)]
    blocks += [block for view in found.benchmarks for block in _benchmark(view, rows)]
    blocks += _history(store, found)
    return "\n".join(blocks)


def traced_searches(store: Store, found: Searches) -> list[tuple[str, str, RunRecord]]:
    """The runs that the section rests on: study or benchmark, what was trained there, the run."""
    traced = []
    for view in found.studies:
        for purpose in ("search", "confirm"):
            traced += [
                (view.name, f"{run.config['model']['name']}, {purpose}", run)
                for run in store.runs(view.study_id, purpose)
                if run.state in ("complete", "pruned")
            ]
    return traced + [run for view in found.benchmarks for run in view.traced()]


def _study(view: StudyView) -> list[str]:
    said = [*how_it_went(view, is_running=False), study_outcome(view)]
    blocks = [
        f"### Search {escape_markdown(view.name)}\n",
        _paragraph(question(view)),
        draw(space_sheet(view), "markdown"),
        *([] if view.space is None else [draw(terms_sheet(view.space), "markdown")]),
        _paragraph(" ".join(said)),
        draw(best_sheet(view, N_BEST), "markdown"),
    ]
    if view.confirmation is None:
        return [*blocks, "Not confirmed on fresh seeds.\n"]
    outcome = confirmation_outcome(view.confirmation)
    return [*blocks, _paragraph(outcome), draw(confirmation_sheet(view.confirmation), "markdown")]


def _benchmark(view: BenchmarkView, rows: Sequence[BenchmarkConfig]) -> list[str]:
    table = view.table
    blocks = [
        f"### Benchmark {escape_markdown(view.name)}\n",
        _paragraph(f"{benchmark_terms(view)} {benchmark_outcome(view)}"),
        draw(results_sheet(table), "markdown"),
    ]
    if len(table.rows) > 1:
        blocks.append(draw(comparison_sheet(table), "markdown"))
    found = [(row.result, _row_like(row.result.config, rows)) for row in table.rows]
    beside = [(result, like) for result, like in found if like is not None]
    if beside:
        differences = "; ".join(_differences(result, like) for result, like in beside)
        blocks.append(
            _paragraph(
                "Beside what the report gives for the same network, trained for as long on as "
                f"much data. What differs from the report's settings: {differences}. Our own runs "
                "with the report's settings stand in its table above, as far as they were run: a "
                "difference from the report is not the effect of the settings, which only runs of "
                "ours can show."
            )
        )
        results = [dataclasses.replace(each, reported=like.reported) for each, like in beside]
        beside_report = benchmark_table(results, table.measured)
        # Several may stand beside one reported row, which is no more than one number.
        blocks.append(draw(report_sheet(beside_report, together=False), "markdown"))
    return blocks


def _history(store: Store, found: Searches) -> list[str]:
    """When the studies were begun and changed, beside the test errors that were known by then."""
    grids = [name for name, complete in grid_runs(store).items() if complete]
    names = [*grids, *(view.name for view in found.studies)]
    if not names:
        return []
    launches = study_launches(store, names)
    return [
        "### What was known when\n",
        "A study that is begun or changed when test errors are known can be steered by them, "
        "whoever reads its trials. The store knows when each launch began that began a study or "
        "changed one, and which test errors of the same data set had been recorded by then; the "
        "notes below each benchmark say the same of its configs.\n",
        draw(study_launches_sheet(launches), "markdown"),
    ]


def _row_like(config: RunConfig, rows: Sequence[BenchmarkConfig]) -> BenchmarkConfig | None:
    """The report's row with the same network, data and epochs, if there is one."""
    return next((row for row in rows if _terms(row.config) == _terms(config)), None)


def _differences(result: ConfigResult, like: BenchmarkConfig) -> str:
    ours, theirs = result.config, like.config
    changed = [
        f"{path.rpartition('.')[2]} {number(ours.value(path))} (not {number(theirs.value(path))})"
        for path in differing_settings([ours, theirs])
    ]
    return f"{result.name}: {', '.join(changed) or 'nothing'}"


def _terms(config: RunConfig) -> tuple[object, ...]:
    return tuple(map(config.value, _OF_A_ROW))


def _paragraph(text: str) -> str:
    return f"{escape_markdown(' '.join(text.split()))}\n"
