"""Write studies and benchmarks as one HTML file: ``python -m dashboards.report --study NAME``.

The file needs nothing but a browser: plotly.js is in it, and it asks the network for nothing. It
tells the story in order: question, space, how the search went, the best configs beside the
baseline, the confirmation, benchmarks with their verdicts, a publication's numbers beside ours, and
where all of it comes from. It prints well.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from dashboards import story
from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.figures.panel import Panel
from dashboards.figures.study.panels import study_panels
from dashboards.numbers.benchmark import BenchmarkView, find_benchmark, read_benchmark
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.pages.documents import DIRECTORY, figure_templates, render
from dashboards.tables.benchmark import unfinished_sheet
from dashboards.tables.drawing import Sheet, draw
from dashboards.tables.formats import comparison_sheet, report_sheet, results_sheet
from dashboards.tables.provenance import (
    commands_sheet,
    launches_sheet,
    runs_sheet,
    versions_sheet,
)
from dashboards.tables.study import best_sheet, confirmation_sheet, space_sheet, terms_sheet
from space.errors import UsageError
from space.files.writing import write_output
from space.terminal.command import local_path
from space.terminal.printing import say_whole
from storage import LaunchRecord, Store, open_store
from storage.commands.cli import (
    EXIT_DONE,
    Parser,
    add_storage_option,
    configure_logging,
    default_storage,
    run_command,
)
from storage.leases import is_alive

__all__ = ["build_parser", "main", "report"]

STYLE = DIRECTORY / "static" / "style.css"
OVERLAY = DIRECTORY / "static" / "overlay.js"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure as it stands in the file.

    Attributes:
        id: The id of its element, of which a file has only one.
        panel: Its words.
        height: Of its element until it is drawn, in pixels.
        json: The figure and what it is on a narrow screen, safe within a ``<script>`` element.
    """

    id: str
    panel: Panel
    height: int
    json: Markup


@dataclass(frozen=True, kw_only=True)
class StudyChapter:
    """A study: its words, tables and figures."""

    id: str
    view: StudyView
    question: str
    space: Markup
    terms: Markup
    went: Sequence[str]
    figures: Sequence[Figure]
    outcome: str
    best: Markup
    confirmed: str
    confirmation: Markup


@dataclass(frozen=True, kw_only=True)
class BenchmarkChapter:
    """A benchmark: its words, tables and figures."""

    id: str
    view: BenchmarkView
    terms: str
    outcome: str
    sheets: Sequence[Markup]
    figures: Sequence[Figure]
    reported: Sequence[Markup]


def report(store: Store, studies: Sequence[str], benchmarks: Sequence[str]) -> str:
    """The report on some studies and benchmarks of a store.

    Args:
        store: The store.
        studies: Names of studies; each is reported once, in this order.
        benchmarks: What `find_benchmark` takes, likewise.

    Returns:
        An HTML document that fetches nothing.

    Raises:
        UsageError: If there is no such benchmark, or more than one.
        StorageError: If there is no such study, or the store cannot be read.
    """
    records = [find_benchmark(store, name) for name in dict.fromkeys(benchmarks)]
    chapters = [
        _study_chapter(read_study(store, name), f"study-{place}")
        for place, name in enumerate(dict.fromkeys(studies), start=1)
    ]
    benchmark_chapters = [
        _benchmark_chapter(read_benchmark(store, record), f"benchmark-{place}")
        for place, record in enumerate(records, start=1)
    ]
    names = [each.view.name for each in chapters] + [each.view.name for each in benchmark_chapters]
    return render(
        "report.html",
        title=story.listed(dict.fromkeys(names)),
        studies=chapters,
        benchmarks=benchmark_chapters,
        provenance=_provenance(chapters, benchmark_chapters),
        store=store.name,
        written_at=datetime.datetime.now(datetime.UTC),
        style=Markup(STYLE.read_text(encoding="utf-8")),
        templates=_script_json(figure_templates().decode()),
        plotly=Markup(_in_script(get_plotlyjs())),
        overlay=Markup(_in_script(OVERLAY.read_text(encoding="utf-8"))),
    )


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
    configure_logging(verbose=False)
    if not options.study and not options.benchmark:
        raise UsageError("--study, --benchmark: name at least one study or benchmark to report on.")
    store = open_store(default_storage(options.storage), look=True)
    try:
        text = report(store, options.study, options.benchmark)
    finally:
        store.close()
    output = Path(options.output)
    write_output("--output", output, text)
    say_whole(str(output))
    return EXIT_DONE


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m dashboards.report",
        description="Write studies and benchmarks as one HTML file that works offline.",
        examples=(
            "--study siamese --output report.html",
            "--benchmark table1 --storage docs/reproduction.db --output table1.html",
        ),
        epilog="`python -m storage list` names the studies of a store.",
    )
    add = parser.add_argument
    add(
        "--study",
        action="append",
        default=[],
        metavar="NAME",
        help="again: several; default: none",
    )
    add(
        "--benchmark",
        action="append",
        default=[],
        metavar="NAME",
        help="a benchmark, or NAME@DATA where there are several of the name; may be repeated; "
        "default: none",
    )
    add_storage_option(parser)
    add(
        "--output",
        type=local_path,
        required=True,
        metavar="FILE",
        help="the HTML file; replaced if it is there",
    )
    return parser


def _study_chapter(view: StudyView, chapter_id: str) -> StudyChapter:
    confirmation = view.confirmation
    return StudyChapter(
        id=chapter_id,
        view=view,
        question=story.question(view),
        space=_drawn(space_sheet(view)),
        terms=Markup() if view.space is None else _drawn(terms_sheet(view.space)),
        went=story.how_it_went(view, is_running=any(map(is_alive, view.launches))),
        figures=_figures(study_panels(view), chapter_id),
        outcome=story.study_outcome(view),
        best=_drawn(best_sheet(view)) if view.trials else Markup(),
        confirmed=("" if confirmation is None else story.confirmation_outcome(confirmation)),
        confirmation=(
            Markup() if confirmation is None else _drawn(confirmation_sheet(confirmation))
        ),
    )


def _benchmark_chapter(view: BenchmarkView, chapter_id: str) -> BenchmarkChapter:
    table = view.table
    sheets = [results_sheet(table)]
    sheets += [comparison_sheet(table)] if len(table.rows) > 1 else []
    sheets += [unfinished_sheet(view)] if view.unfinished else []
    reported = []
    if any(row.reported for row in table.rows):
        others = ("train_error", "val_error")
        reported = [report_sheet(table), report_sheet(table, metrics=others)]
    return BenchmarkChapter(
        id=chapter_id,
        view=view,
        terms=story.benchmark_terms(view),
        outcome=story.benchmark_outcome(view),
        sheets=[_drawn(sheet) for sheet in sheets],
        figures=_figures(benchmark_panels(view), chapter_id),
        reported=[_drawn(sheet) for sheet in reported],
    )


def _provenance(
    studies: Sequence[StudyChapter], benchmarks: Sequence[BenchmarkChapter]
) -> list[Markup]:
    """The launches of everything in the report: each once, oldest first."""
    found: list[LaunchRecord] = []
    for views in ([each.view for each in studies], [each.view for each in benchmarks]):
        found += [launch for view in views for launch in view.launches]
    if not found:
        return []
    launches = {launch.launch_id: launch for launch in found}
    ordered = [launches[launch_id] for launch_id in sorted(launches)]
    traced = [run for chapter in benchmarks for run in chapter.view.traced()]
    sheets = [commands_sheet(ordered), launches_sheet(ordered, traced), versions_sheet(ordered)]
    sheets += [runs_sheet(traced)] if traced else []
    return [_drawn(sheet) for sheet in sheets]


def _figures(panels: Sequence[Panel], chapter_id: str) -> list[Figure]:
    figures = []
    for panel in panels:
        tree = panel.figure.to_plotly_json()
        del tree["layout"]["template"]  # It is in the file once.
        for trace in tree["data"]:
            # A browser keeps some 16 canvases of the graphics card, and prints them blurred.
            if trace["type"] == "scattergl":
                trace["type"] = "scatter"
        figures.append(
            Figure(
                id=f"{chapter_id}-{panel.key}",
                panel=panel,
                height=panel.figure.layout.height,
                json=_script_json(to_json_plotly({**tree, "narrow": panel.narrow})),
            )
        )
    return figures


def _drawn(sheet: Sheet) -> Markup:
    return Markup(draw(sheet, "html"))  # Drawn with every text in it escaped.


def _script_json(text: str) -> Markup:
    """JSON that stands in a ``<script>`` element, whatever its strings say."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _in_script(code: str) -> str:
    """JavaScript without what would end or change the ``<script>`` element that it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


if __name__ == "__main__":
    run_command(main)
