"""Print a grid search's curves: ``python -m search.grid_report --study NAME --reference X``.

The objective against a parameter with mean, standard deviation and interval of every point, and
whether a reference value is the best point, within noise of it, or worse.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict

from dashboards.numbers.grid import GridCurve, GridPoint, GridReport, read_grid
from dashboards.statistics.verdicts import seeds_needed
from dashboards.words import kept_epoch_note, show_signed
from space.errors import UsageError
from space.terminal.command import Option
from space.terminal.layout import Paper, table_lines, wrapped
from space.terminal.printing import as_json, paper_of, write
from space.terminal.streams import shown
from space.words import count
from storage.commands.kit import STORAGE, STUDY, VERBOSE, StoreCommand, format_of, opened

__all__ = ["main", "render", "sentence"]

FORMATS = ("text", "markdown", "json")


@StoreCommand.of(
    "search.grid_report",
    "Show a grid search as its objective against a parameter, and judge one value of it.",
    STUDY.but(help="the study of the grid search"),
    STORAGE,
    Option("--parameter", metavar="NAME", help="default: the one whose values are numbers"),
    Option("--reference", type=float, metavar="X", help="default: the baseline's"),
    format_of("the report on stdout", FORMATS),
    VERBOSE,
    examples=(
        "--study widths --reference 64",
        "--study widths --parameter width --format markdown",
    ),
)
def main(options: Namespace) -> None:
    """Print the report."""
    with opened(options.storage) as store:
        report = read_grid(
            store, options.study, parameter=options.parameter, reference=options.reference
        )
    if report.reference is None:
        raise UsageError(
            f"--reference: study '{options.study}' has no baseline; name the value of "
            f"{report.parameter} that the others are compared with."
        )
    write(render(report, options.format, paper_of(sys.stdout)))


def render(report: GridReport, output_format: str, paper: Paper | None = None) -> str:
    """A report as text (laid out for a paper), Markdown or JSON."""
    if output_format == "json":
        return as_json(_as_json(report))
    is_markdown = output_format == "markdown"
    paper = paper or Paper()

    def said(text: str) -> list[str]:
        return [shown(text)] if is_markdown else wrapped(text, paper)

    lines = [*said(_title(report)), ""]
    for curve in report.curves:
        heading = ", ".join(f"{name} {value}" for name, value in curve.group.items())
        if heading:
            lines += [*said(f"### {heading}" if is_markdown else heading), ""]
        header, rows = _header(report), [_row(report, point) for point in curve.points]
        if is_markdown:
            lines += _markdown(header, rows)
        else:
            left = frozenset({len(header) - 1})
            lines += [line for line, _ in table_lines(header, rows, paper, left=left)]
        lines += ["", *said(sentence(report, curve)), ""]
    lines += said(_footnote(report))
    return "".join(f"{line}\n" for line in lines)


def sentence(report: GridReport, curve: GridCurve) -> str:
    """What a curve says of the reference, with its uncertainty."""
    found, metric, decimals = curve.finding, report.metric, report.decimals
    name = f"{report.parameter} {report.reference:g}"
    if found.rival is None or found.behind is None:
        return f"{name} cannot be judged: no other point shares 2 or more seeds with it."
    against = {point.value: point.comparison for point in curve.points if point.comparison}
    comparison = against[found.rival]
    paired = comparison.paired
    by = f"{abs(found.behind):.{decimals}f}"
    evidence = f"paired over {found.n} seeds"
    if paired.interval is not None:
        low, high = sorted((-paired.interval.low, -paired.interval.high))
        evidence += f", 95 % interval of {report.reference:g} minus {found.rival:g} "
        evidence += f"{show_signed(low, decimals)} to {show_signed(high, decimals)}"
    evidence += f", Holm-corrected p = {comparison.adjusted_p_value:.2g}"
    match found.verdict:
        case "best" if found.behind == 0:
            words = f"{name} has the {metric.extreme} mean of {found.n_points} points, level with "
            words += f"{found.rival:g}"
        case "best":
            words = f"{name} has the {metric.extreme} mean of {found.n_points} points, {by} "
            words += f"{metric.better} than the next, {found.rival:g}"
        case "worse":
            words = f"{name} is worse than {found.rival:g} by {by}"
        case _:
            words = f"{name} is within noise of the {metric.extreme} mean of {found.n_points} "
            words += f"points, that of {found.rival:g}, which is {by} {metric.better}"
    return f"{words} ({evidence}). {_power(curve, decimals)}"


def _power(curve: GridCurve, decimals: int) -> str:
    """What the seeds could have shown."""
    found = curve.finding
    needed = seeds_needed(found.n_points)
    if found.n < needed:
        return (
            f"With {found.n} seeds no difference between {found.n_points} points could have been "
            f"shown, however large: that takes {needed} or more."
        )
    shown = f"{found.n_worse} of the other {found.n_points - 1} points are distinguishably worse"
    if found.n_points == 2:
        shown = f"The other point is {'' if found.n_worse else 'not '}distinguishably worse"
    comparisons = [point.comparison for point in curve.points if point.comparison is not None]
    detectable = [
        each.paired.detectable_difference
        for each in comparisons
        if each.paired.detectable_difference is not None
    ]
    if not detectable:
        return f"{shown}."
    return (
        f"{shown}; {found.n} seeds would have shown a difference of "
        f"{max(detectable):.{decimals}f} at any point in 4 of 5 cases."
    )


def _title(report: GridReport) -> str:
    return (
        f"study '{report.study}' on {report.data_source}: {report.metric.name} against "
        f"{report.parameter}, mean over seeds"
    )


def _footnote(report: GridReport) -> str:
    others = {state: n for state, n in report.trials.items() if state != "COMPLETE"}
    note = f"{count(report.trials['COMPLETE'], 'complete trial')} in {report.storage}"
    if others:
        note += "; not counted: " + ", ".join(f"{n} {state}" for state, n in others.items())
    note += (
        "; p and the second interval are of one comparison alone, p (Holm) and the verdict count "
        "all of a table; the intervals are what a sign-flip test does not reject"
    )
    return "; ".join([note, *kept_epoch_note(report.measured, [report.metric.name])])


def _header(report: GridReport) -> list[str]:
    return [
        report.parameter,
        "mean",
        "std",
        "n",
        "95 % interval",
        f"minus {report.reference:g}",
        "95 % interval",
        "p",
        "p (Holm)",
        "verdict",
    ]


def _row(report: GridReport, point: GridPoint) -> list[str]:
    summary, decimals = point.summary, report.decimals

    def plain(value: float) -> str:
        return f"{value:.{decimals}f}"

    def signed(value: float) -> str:
        return show_signed(value, decimals)

    row = [
        f"{point.value:g}",
        plain(summary.mean),
        "" if summary.std is None else plain(summary.std),
        str(summary.n),
        _interval(summary.interval, plain),
    ]
    if point.comparison is None:
        is_reference = point.value == report.reference
        return [*row, "", "", "", "", "reference" if is_reference else "not compared"]
    paired = point.comparison.paired
    return [
        *row,
        signed(paired.mean_difference),
        _interval(paired.interval, signed),
        f"{paired.p_value:.2g}",
        f"{point.comparison.adjusted_p_value:.2g}",
        point.comparison.verdict,
    ]


def _interval(interval: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    return "" if interval is None else " to ".join(map(show, interval))


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    *numbers, _ = header
    rule = ["---:"] * len(numbers) + ["---"]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def _as_json(report: GridReport) -> dict[str, object]:
    tree = {**asdict(report), "metric": report.metric.name}
    for curve, drawn in zip(report.curves, tree["curves"], strict=True):
        drawn["sentence"] = sentence(report, curve)
    return tree


if __name__ == "__main__":
    main.run()
