"""A benchmark's table for people (text, Markdown, LaTeX) and for programs (CSV, JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.shift import shift_from_report
from dashboards.numbers.tables import ERRORS, BenchmarkTable, Row
from dashboards.statistics.verdicts import FEWEST_FOR_REPORT
from dashboards.tables.data import as_csv, as_json
from dashboards.tables.drawing import Sheet, draw
from dashboards.tables.origins import origin_notes
from dashboards.words import KEPT_EPOCH, show_interval, show_mean, show_seeds, show_signed
from space import RunConfig
from space.metrics import METRICS
from space.terminal.layout import Paper
from space.words import NOTHING

__all__ = [
    "FORMATS",
    "benchmark_sheets",
    "comparison_sheet",
    "render",
    "report_sheet",
    "results_sheet",
    "settings",
    "shift_sentences",
    "unfinished_sheet",
]

FORMATS = ("text", "markdown", "latex", "csv", "json")

_RESULTS_COLUMNS = (
    "model",
    "parameters",
    "aux",
    "learning rate",
    "weight decay",
    "n",
    *(METRICS[error].words for error in ERRORS),
    "95 % interval",
    "train s",
)
_COMPARISON_COLUMNS = (
    "model",
    "n",
    "difference",
    "95 % interval",
    "P(better)",
    "p",
    "p (Holm)",
    "detectable",
    "verdict",
)
_REPORT_COLUMNS = (
    "model",
    "error",
    "n",
    "ours",
    "n reported",
    "reported",
    "ours - reported",
    "95 % interval",
    "verdict",
)
_VERDICTS = (
    "better, worse: chance is ruled out at the 5 % level with all comparisons of this table "
    "counted (sign-flip test, Holm); P(better): the share of the seeds on which it was better, "
    "ties half; detectable: the smallest true difference that so many seeds find 4 times in 5, "
    "- where so few can find none. p and the interval are of one comparison alone: the interval is "
    "what its test does not reject, leaves zero out just where p is at most 0.05, and covers the "
    "true mean in 95 % of the cases or more if differences are symmetric, somewhat less if skewed; "
    "- for fewer than 6 seeds or where all differences are equal"
)
_CONSISTENCY = (
    "consistent: the 95 % interval of the difference (Welch) holds zero, and says how large a "
    "difference remains possible; of rows that truly agree, about 1 in 20 at the most is called "
    f"not consistent. Fewer than {FEWEST_FOR_REPORT} seeds get no verdict"
)
_FLOOR = (
    "; a spread of test errors below the chance spread of the test pairs themselves is taken to be "
    "that"
)
_INTERVAL = (
    "the 95 % interval of the mean test error is what a sign-flip test does not reject: it covers "
    "the true mean in 95 % of the cases or more if errors are symmetric about it, in fewer if they "
    "are skewed (with 10 seeds, in 2 of 3 where 1 run in 10 does not learn at all); - for fewer "
    "than 6 seeds or where all errors are equal"
)
_SPLITS = {error: METRICS[error].words.removesuffix(" error") for error in ERRORS}
_SURVIVORS = (
    "compared on the seeds that both have: whichever of the two failed on others is not called the "
    "better one"
)


def render(table: BenchmarkTable, format: str, paper: Paper | None = None) -> str:
    """Draw a table.

    Args:
        table: The table.
        format: One of `FORMATS`. ``csv`` has a line a config and seed, ``json`` everything.
        paper: Where text is written; default: where lines have no end.

    Returns:
        Whole lines, the same for the same table.

    Raises:
        ValueError: If there is no such format.
    """
    if format not in FORMATS:
        raise ValueError(f"format is '{format}', but there are {', '.join(FORMATS)}")
    if format == "csv":
        return as_csv(table)
    if format == "json":
        return as_json(table)
    preamble = "% \\usepackage{booktabs}\n" if format == "latex" else ""
    return preamble + "\n".join(draw(sheet, format, paper) for sheet in benchmark_sheets(table))


def benchmark_sheets(table: BenchmarkTable) -> list[Sheet]:
    """The sheets that have something to say: results, comparisons, the reported values."""
    sheets = [results_sheet(table)]
    if len(table.rows) > 1:
        sheets.append(comparison_sheet(table))
    if any(row.reported for row in table.rows):
        sheets.append(report_sheet(table))
    return sheets


def results_sheet(table: BenchmarkTable) -> Sheet:
    """The report's columns, n, the 95 % interval of the mean test error, and the time."""
    rows = [
        (
            *settings(row),
            _of_asked(row.n, row),
            *(show_mean(row.errors.get(metric)) for metric in ERRORS),
            show_interval(row.errors["test_error"].interval if row.errors else None),
            NOTHING if row.train_seconds is None else f"{row.train_seconds.mean:.1f}",
        )
        for row in table.rows
    ]
    notes = [
        "mean ± standard deviation (ddof 1) over n seeds; errors are fractions of the pairs; "
        f"{KEPT_EPOCH}",
        _INTERVAL,
    ]
    missing = [
        f"{row.name}: {show_seeds(seeds)}"
        for row in table.rows
        for seeds in [[s for s in row.result.missing if s not in row.result.failed]]
        if seeds
    ]
    if missing:
        notes.append(f"seeds not yet run: {'; '.join(missing)}")
    failed = [
        f"{row.name}, seed {seed} ({' '.join(reason.split())})"
        for row in table.rows
        for seed, reason in row.result.failed.items()
    ]
    if failed:
        notes.append(f"failed, and so in no mean and no comparison: {'; '.join(failed)}")
    notes += origin_notes(table)
    return Sheet(title=table.title, columns=_RESULTS_COLUMNS, rows=rows, notes=notes)


def settings(row: Row) -> tuple[str, str, str, str, str]:
    """A row's name, parameters, auxiliary weight, learning rate and weight decay."""
    config = row.result.config
    return (
        row.name,
        f"{row.result.n_parameters:,}",
        NOTHING if row.aux_weight is None else f"{row.aux_weight:g}",
        _setting(config, "training.learning_rate"),
        _setting(config, "training.weight_decay"),
    )


def _setting(config: RunConfig, path: str) -> str:
    value = config.value(path)
    return NOTHING if value is None else f"{value:g}"


def comparison_sheet(table: BenchmarkTable) -> Sheet:
    """Each config's test error against the reference's, on the seeds that both have."""
    rows = []
    for row in table.rows:
        cells = [NOTHING] * 7
        if row.comparison is not None:
            paired = row.comparison.paired
            detectable = paired.detectable_difference
            cells = [
                _of_asked(paired.n, row),
                show_signed(paired.mean_difference),
                show_interval(paired.interval),
                f"{paired.probability_better:.2f}",
                f"{paired.p_value:.2g}",
                f"{row.comparison.adjusted_p_value:.2g}",
                NOTHING if detectable is None else f"{detectable:.4f}",
            ]
        rows.append((row.name, *cells, row.verdict))
    return Sheet(
        title=f"Test error against {table.reference}, seed by seed: negative is better",
        columns=_COMPARISON_COLUMNS,
        left=frozenset({0, 8}),
        rows=rows,
        notes=[_VERDICTS, *([_SURVIVORS] if any(row.result.failed for row in table.rows) else [])],
    )


def report_sheet(
    table: BenchmarkTable, *, metrics: Iterable[str] = ("test_error",), together: bool = True
) -> Sheet:
    """Some errors of every config for which something is reported, beside what is.

    Args:
        table: The table.
        metrics: Of `ERRORS`; with several, each row says which one it is of.
        together: Whether to say what all rows say together, which rows that stand beside one and
            the same reported row must not.
    """
    wanted = tuple(metrics)
    rows = []
    for row in table.rows:
        for error in row.reported:
            if error.metric not in wanted:
                continue
            reported, compared = error.reported, error.comparison
            rows.append(
                (
                    row.name,
                    _SPLITS[error.metric],
                    str(row.n),
                    show_mean(row.errors.get(error.metric)),
                    str(error.reported_n),
                    f"{_as_reported(reported.mean)} ± {_as_reported(reported.std)}",
                    NOTHING if error.difference is None else show_signed(error.difference),
                    show_interval(None if compared is None else compared.interval),
                    error.verdict,
                )
            )
    sources = {row.result.reported.source for row in table.rows if row.result.reported is not None}
    return Sheet(
        title=f"{' and '.join(_SPLITS[each] for each in wanted).capitalize()} error beside the "
        f"reported values ({', '.join(sorted(sources))})",
        columns=_REPORT_COLUMNS,
        left=frozenset({0, 1, 8}),
        rows=rows,
        notes=[
            _CONSISTENCY + (_FLOOR if "test_error" in wanted else ""),
            *(shift_sentences(table.rows, wanted) if together else []),
        ],
    )


def shift_sentences(rows: Sequence[Row], metrics: Iterable[str] = ("test_error",)) -> list[str]:
    """What all rows together say beside the reported ones, a sentence an error.

    Args:
        rows: Of one or several tables.
        metrics: Of `ERRORS`.
    """
    said = []
    for metric in metrics:
        found = shift_from_report(rows, metric)
        if found is None:
            continue
        sentence = (
            f"all rows together: {found.n_lower} of {found.n_rows} {_SPLITS[metric]} errors are "
            f"lower than reported{_equal(found.n_equal)} (sign test p = {found.p_value:.2g}, if "
            "rows were independent; ours share the pairs of a seed)"
        )
        if found.average is not None:
            compared = found.average.comparison
            sentence += (
                f"; the mean of {', '.join(found.average.names)} over the {found.average.n} seeds "
                f"that they share differs by {show_signed(compared.difference)} "
                f"{show_interval(compared.interval)}, p = {compared.p_value:.2g}, which holds "
                "whatever the rows have in common, here or in the report"
            )
        said.append(sentence)
    return said


def _equal(n: int) -> str:
    return f", {n} {'is' if n == 1 else 'are'} equal" if n else ""


def _as_reported(number: float) -> str:
    """Four decimals, or as many as were reported."""
    return f"{number:.4f}" if round(number, 4) == number else f"{number}"


def _of_asked(n: int, row: Row) -> str:
    n_asked = row.n + len(row.result.missing)
    return str(n) if n == n_asked else f"{n} of {n_asked}"


def unfinished_sheet(view: BenchmarkView) -> Sheet:
    """The latest run of each seed that was begun and has no result, with why, where it failed."""
    return Sheet(
        title="Begun, without a result yet",
        columns=("model", "seed", "state", "epochs", "last heard of (UTC)", "reason"),
        left=frozenset({0, 2, 4, 5}),
        rows=[
            (
                each.name,
                str(each.seed),
                each.run.state,
                f"{each.run.n_epochs} of {each.n_epochs_asked}",
                f"{each.heard_at:%Y-%m-%d %H:%M}",
                " ".join((each.run.reason or NOTHING).split()),
            )
            for each in view.unfinished
        ],
    )
