"""Runs that were trained elsewhere, as a benchmark: the same tables, tests and figures for them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.results import ConfigResult, SeedResult
from dashboards.numbers.tables import benchmark_table
from space import RunConfig
from space.metrics import Measured, Metric
from storage import BenchmarkConfig, BenchmarkRecord, ResultRecord, RunRecord

__all__ = ["ForeignRun", "foreign_benchmark"]


@dataclass(frozen=True, kw_only=True)
class ForeignRun:
    """A run that was trained elsewhere.

    Attributes:
        config: What its config is called.
        seed: Its seed.
        line: Where it stands in its file, from 1.
        state: "complete", "failed" or "running".
        metrics: Name -> value; a complete run has a finite one of the metric that is compared by.
        reason: Why it failed, if it did.
    """

    config: str
    seed: int
    line: int
    state: str
    metrics: dict[str, float]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class _GivenMetrics(Measured):
    """Metrics of which nobody said which epoch's state they are of; the first one judges."""

    @property
    def judged_by(self) -> Metric:
        """The first."""
        return self.metrics[0]

    @property
    def tabled(self) -> tuple[Metric, ...]:
        """All."""
        return self.metrics


def foreign_benchmark(
    runs: Sequence[ForeignRun],
    metrics: Sequence[Metric],
    *,
    source: str,
    fingerprint: str,
    reference: str | None = None,
    margin: float | None = None,
    title: str = "",
) -> BenchmarkView:
    """Compare runs that were trained elsewhere.

    Args:
        runs: At least one; of a config and a seed one at the most is complete.
        metrics: What was measured of them; the first one is compared by.
        source: What they were read from.
        fingerprint: Identifies what was read.
        reference: The config that the others are compared with; default: that of the first run.
        margin: The margin of practical equivalence; see `compare_all`.
        title: What the table is headed with.

    Returns:
        The benchmark, without learning curves, launches and seconds.

    Raises:
        UsageError: If no config is called like the reference.
    """
    measured = _GivenMetrics(metrics=tuple(metrics), kept_by=())
    seeds = sorted({run.seed for run in runs})
    names = dict.fromkeys(run.config for run in runs)
    results = [
        _result(name, [run for run in runs if run.config == name], seeds, fingerprint)
        for name in names
    ]
    table = benchmark_table(results, measured, reference=reference, margin=margin, title=title)
    record = BenchmarkRecord(
        name=source,
        data_source=source,
        data_fingerprint=fingerprint,
        title=title,
        reference=table.reference,
        n_seeds=len(seeds),
        measured=measured,
        configs=tuple(
            BenchmarkConfig(
                name=result.name,
                config=result.config,
                config_hashes=("",) * len(seeds),
                n_parameters=0,
                reported=None,
                seeds=tuple(seeds),
            )
            for result in results
        ),
    )
    return BenchmarkView(
        record=record, table=table, curves={}, unfinished=(), launches=(), n_together=0
    )


def _result(
    name: str, runs: Sequence[ForeignRun], seeds: Sequence[int], fingerprint: str
) -> ConfigResult:
    done = {run.seed: run for run in runs if run.state == "complete"}
    failed = {run.seed: run.reason for run in runs if run.state == "failed"}
    return ConfigResult(
        name=name,
        config=RunConfig.model_validate({}),
        n_parameters=0,
        reported=None,
        seeds={
            seed: SeedResult(
                seed=seed,
                run=_run(done[seed]),
                result=ResultRecord(
                    run_id=done[seed].line,
                    metrics=done[seed].metrics,
                    data_fingerprint=fingerprint,
                ),
            )
            for seed in sorted(done)
        },
        missing=tuple(seed for seed in seeds if seed not in done),
        failed={seed: failed[seed] for seed in sorted(failed.keys() - done.keys())},
        origin=None,
    )


def _run(run: ForeignRun) -> RunRecord:
    """A run of which its file says nothing but its numbers."""
    return RunRecord(
        launch_id=0,
        study_id=None,
        trial_id=None,
        purpose="benchmark",
        replicate=0,
        config_hash="",
        config={},
        run_id=run.line,
        uid="",
        state=run.state,
        reason=None,
        worker=None,
        started_at=datetime.datetime.min.replace(tzinfo=datetime.UTC),
        ended_at=None,
        n_epochs=0,
        best_epoch=None,
        train_seconds=math.nan,
    )
