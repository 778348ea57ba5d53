"""A benchmark's table for people (text, Markdown, LaTeX) and for programs (CSV, JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.shift import shift_from_report
from dashboards.numbers.tables import BenchmarkTable, Row
from dashboards.statistics.verdicts import FEWEST_FOR_REPORT
from dashboards.tables import FORMATS
from dashboards.tables.data import as_csv, as_json
from dashboards.tables.drawing import Sheet, draw
from dashboards.tables.origins import origin_notes
from dashboards.tables.selections import selections_sheet
from dashboards.tables.variance import variance_sheet
from dashboards.words import kept_epoch_note, show_interval, show_mean
from space.metrics import Metric
from space.terminal.layout import Paper
from space.words import NOTHING, capitalised, joined, number, show_seeds
from storage.summaries.registered import registered_lines

__all__ = [
    "benchmark_sheets",
    "comparison_sheet",
    "render",
    "report_sheet",
    "results_sheet",
    "shift_sentences",
    "unfinished_sheet",
]

_COMPARISON_COLUMNS = (
    "config",
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
    "config",
    "metric",
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
    "counted ({test}, Holm); {equivalent}; undecided: none of these is shown; P(better): "
    "the share of the seeds on which it was better, ties half; detectable: the smallest true "
    "difference that so many seeds find 4 times in 5, - {no_power}. p and the "
    "interval are of one comparison alone: the interval is what its test does not reject, leaves "
    "zero out just where p is at most 0.05, and covers the true mean in 95 % of the cases or more "
    "if differences are symmetric, somewhat less if skewed; - for fewer than 6 seeds or where all "
    "differences are equal"
)
_EQUIVALENT = (
    "equivalent: it is likewise shown that the true difference is less than {margin}, to whichever "
    "side (two one-sided tests, Holm), which counts for more than better or worse"
)
_NOT_ASKED = "equivalence was not asked, which takes a margin"
_TOO_FEW, _NOT_OF_BETS = "where so few can find none", "as it is not computed of bets"
_TEST, _RACED = "sign-flip test", "bets on signs, which may be looked at after every seed"
_CONSISTENCY = (
    "consistent: the 95 % interval of the difference (Welch) holds zero, and says how large a "
    "difference remains possible; of rows that truly agree, about 1 in 20 at the most is called "
    f"not consistent. Fewer than {FEWEST_FOR_REPORT} seeds get no verdict"
)
_FLOOR = (
    "; a spread below the chance spread of the test samples themselves is taken to be that, where "
    "every run draws them afresh"
)
_INTERVAL = (
    "the 95 % interval is of the {words}, of its mean over seeds: what a sign-flip test does not "
    "reject, which covers the true mean in 95 % of the cases or more if the values are symmetric "
    "about it, in fewer if they are skewed (with 10 seeds, in 2 of 3 where 1 run in 10 does not "
    "learn at all); - for fewer than 6 seeds or where all values are equal"
)
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
    """The sheets that have something to say: results, comparisons, both states of the runs, the
    reported values, and where variances come from."""
    sheets = [results_sheet(table)]
    if len(table.rows) > 1:
        sheets.append(comparison_sheet(table))
    selections = selections_sheet(table)
    if selections is not None:
        sheets.append(selections)
    if any(row.reported for row in table.rows):
        sheets.append(report_sheet(table))
    sheets += [
        variance_sheet(name, split, table.metric, table.notation())
        for name, split in table.variances.items()
    ]
    return sheets


def results_sheet(table: BenchmarkTable) -> Sheet:
    """A row a config: the settings in which they differ, what was measured, and the time."""
    shown, judged, settings = table.measured.tabled, table.metric, table.settings
    # Of runs that were trained elsewhere neither is known.
    is_sized = any(row.result.n_parameters for row in table.rows)
    is_timed = any(row.train_seconds for row in table.rows) or not any(row.n for row in table.rows)
    rows = [
        (
            row.name,
            *([f"{row.result.n_parameters:,}"] if is_sized else []),
            *(_setting(row.result.config.value(path)) for path in settings),
            _of_asked(row.n, row),
            *(show_mean(row.means.get(each.name), table.notation(each)) for each in shown),
            show_interval(
                row.means[judged.name].interval if judged.name in row.means else None,
                table.notation(),
            ),
            *([_seconds(row)] if is_timed else []),
        )
        for row in table.rows
    ]
    shares = dict.fromkeys(f"{each.of}: {each.unit}" for each in shown if each.is_share)
    selections = {row.result.config.selection for row in table.rows}
    kept = kept_epoch_note(table.measured, (each.name for each in shown), selections)
    notes = [
        "; ".join(["mean ± standard deviation (ddof 1) over n seeds", *shares, *kept]),
        _INTERVAL.format(words=judged.words),
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
    if table.registered is not None:
        notes += registered_lines(table.registered)
    columns = (
        "config",
        *(["parameters"] if is_sized else []),
        *_headings(settings),
        "n",
        *(each.heading for each in shown),
        "95 % interval",
        *(["train s"] if is_timed else []),
    )
    return Sheet(title=table.title, columns=columns, rows=rows, notes=notes)


def _headings(paths: Sequence[str]) -> list[str]:
    """The settings' own names, with their sections where two have one name."""
    names = [path.rpartition(".")[2] for path in paths]
    return [
        (path if names.count(name) > 1 else name).replace("_", " ")
        for path, name in zip(paths, names, strict=True)
    ]


def _seconds(row: Row) -> str:
    return NOTHING if row.train_seconds is None else f"{row.train_seconds.mean:.1f}"


def _setting(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else number(value)


def comparison_sheet(table: BenchmarkTable) -> Sheet:
    """What the configs are compared by, against the reference's, on the seeds that both have."""
    rows, notation, metric = [], table.notation(), table.metric
    for row in table.rows:
        cells = [NOTHING] * 7
        if row.comparison is not None:
            paired = row.comparison.paired
            detectable = paired.detectable_difference
            cells = [
                _of_asked(paired.n, row),
                notation.signed(paired.mean_difference),
                show_interval(paired.interval, notation),
                f"{paired.probability_better:.2f}",
                f"{paired.p_value:.2g}",
                f"{row.comparison.adjusted_p_value:.2g}",
                notation.value(detectable),
            ]
        rows.append((row.name, *cells, row.verdict))
    return Sheet(
        title=f"{capitalised(metric.heading)} against {table.reference}, seed by seed: "
        f"{'positive' if metric.maximize else 'negative'} is better",
        columns=_COMPARISON_COLUMNS,
        left=frozenset({0, 8}),
        rows=rows,
        notes=[
            _verdict_note(table),
            *([_SURVIVORS] if any(row.result.failed for row in table.rows) else []),
        ],
    )


def _verdict_note(table: BenchmarkTable) -> str:
    equivalent = _NOT_ASKED
    if table.margin is not None:
        notation = table.notation()
        margin = f"{notation.quoted(table.margin)}{notation.of_difference}"
        equivalent = _EQUIVALENT.format(margin=margin)
    return _VERDICTS.format(
        test=_RACED if table.is_raced else _TEST,
        equivalent=equivalent,
        no_power=_NOT_OF_BETS if table.is_raced else _TOO_FEW,
    )


def report_sheet(table: BenchmarkTable, *, others: bool = False, together: bool = True) -> Sheet:
    """What the configs are compared by, beside what is reported of it.

    Args:
        table: The table; something is reported for one of its configs at least.
        others: Whether all else that is reported is meant instead; each row says what it is of.
        together: Whether to say what all rows say together, which rows that stand beside one and
            the same reported row must not.
    """
    wanted = _reported(table, others=others)
    rows = []
    for row in table.rows:
        for found in row.reported:
            if found.metric not in wanted:
                continue
            reported, compared = found.reported, found.comparison
            notation = table.notation(found.metric)
            rows.append(
                (
                    row.name,
                    found.metric.heading,
                    str(row.n),
                    show_mean(row.means.get(found.metric.name), notation),
                    str(found.reported_n),
                    " ± ".join(notation.quoted(each) for each in (reported.mean, reported.std)),
                    notation.signed(found.difference),
                    show_interval(None if compared is None else compared.interval, notation),
                    found.verdict,
                )
            )
    sources = {row.result.reported.source for row in table.rows if row.result.reported is not None}
    return Sheet(
        title=f"{capitalised(joined(each.words for each in wanted))} beside the reported values "
        f"({', '.join(sorted(sources))})",
        columns=_REPORT_COLUMNS,
        left=frozenset({0, 1, 8}),
        rows=rows,
        notes=[
            _CONSISTENCY + ("" if others or not table.metric.is_share else _FLOOR),
            *(shift_sentences(table.rows, wanted) if together else []),
        ],
    )


def _reported(table: BenchmarkTable, *, others: bool) -> list[Metric]:
    """What the table compares by, or all else that is reported for any of its configs."""
    found = {each.metric for row in table.rows for each in row.reported}
    return [
        each
        for each in table.measured.metrics
        if each in found and (each == table.metric) is not others
    ]


def shift_sentences(rows: Sequence[Row], metrics: Iterable[Metric]) -> list[str]:
    """What all rows together say beside the reported ones, a sentence a metric.

    Args:
        rows: Of one or several tables.
        metrics: What of all that is reported.
    """
    said = []
    for metric in metrics:
        notation = metric.notation(each.reported.mean for row in rows for each in row.reported)
        found = shift_from_report(rows, metric)
        if found is None:
            continue
        sentence = (
            f"all rows together: in {found.n_lower} of {found.n_rows} the {metric.words} is lower "
            f"than reported{_equal(found.n_equal)} (sign test p = {found.p_value:.2g}, if rows "
            "were independent; ours share the draw of a seed)"
        )
        if found.average is not None:
            compared = found.average.comparison
            sentence += (
                f"; the mean of {', '.join(found.average.names)} over the {found.average.n} seeds "
                f"that they share differs by {notation.signed(compared.difference)}"
                f"{notation.of_difference} {show_interval(compared.interval, notation)}, "
                f"p = {compared.p_value:.2g}, which "
                "holds whatever the rows have in common, here or in the report"
            )
        said.append(sentence)
    return said


def _equal(n: int) -> str:
    return f", in {n} equal" if n else ""


def _of_asked(n: int, row: Row) -> str:
    n_asked = row.n + len(row.result.missing)
    return str(n) if n == n_asked else f"{n} of {n_asked}"


def unfinished_sheet(view: BenchmarkView) -> Sheet:
    """The latest run of each seed that was begun and has no result, with why, where it failed."""
    return Sheet(
        title="Begun, without a result yet",
        columns=("config", "seed", "state", "epochs", "last heard of (UTC)", "reason"),
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
