"""Write studies and benchmarks as one HTML file: ``python -m dashboards.report --study NAME``.

A chapter is what the page of a study or benchmark is filled with. The file needs nothing but a
browser: plotly.js is in it, and it asks the network for nothing. It prints well.
"""

from __future__ import annotations

import datetime
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from space.errors import UsageError
from space.terminal.command import Option
from space.terminal.printing import say_whole
from space.words import joined
from storage.commands.kit import OUTPUT, STORAGE, StoreCommand, opened

if TYPE_CHECKING:
    from dashboards.pages.documents import Document
    from storage import Store

__all__ = ["html_file", "main", "report"]


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
    from dashboards.numbers.benchmark import find_benchmark
    from dashboards.pages.benchmark_page import benchmark_document
    from dashboards.pages.study_page import study_document

    records = [find_benchmark(store, name) for name in dict.fromkeys(benchmarks)]
    documents = [study_document(store, name, is_served=False) for name in dict.fromkeys(studies)]
    documents += [benchmark_document(store, record, is_served=False) for record in records]
    return html_file(documents, store.name)


def html_file(documents: Sequence[Document], source: str) -> str:
    """Some documents as one file, a chapter each.

    Args:
        documents: At least one.
        source: What their numbers were read from.

    Returns:
        An HTML document that fetches nothing.
    """
    from plotly.io.json import to_json_plotly
    from plotly.offline import get_plotlyjs

    from dashboards.glossary import explained
    from dashboards.pages.documents import figure_templates, render, static

    texts, words = explained(
        text for each in documents for text in (each.lead, each.summary, each.details)
    )
    return render(
        "report.html",
        texts=[texts[first : first + 3] for first in range(0, len(texts), 3)],
        words=words,
        title=joined(dict.fromkeys(document.title for document in documents)),
        documents=documents,
        figures=[_json(to_json_plotly(document.figures())) for document in documents],
        source=source,
        written_at=datetime.datetime.now(datetime.UTC),
        style=Markup(static("style.css")),
        theme=_code(static("theme.js")),
        templates=_json(figure_templates()),
        plotly=_code(get_plotlyjs()),
        script=_code(static("figures.js")),
    )


@StoreCommand.of(
    "dashboards.report",
    "Write studies and benchmarks as one HTML file that works offline.",
    Option(
        "--study",
        action="append",
        default=[],
        metavar="NAME",
        help="again: several; default: none",
    ),
    Option(
        "--benchmark",
        action="append",
        default=[],
        metavar="NAME",
        help="a benchmark, or NAME@DATA where there are several of the name; may be repeated; "
        "default: none",
    ),
    STORAGE,
    OUTPUT.but(help="the HTML file; replaced if it is there"),
    examples=(
        "--study mlp --output report.html",
        "--benchmark table1 --storage docs/reproduction.db --output table1.html",
    ),
    epilog="`python -m storage list` names the studies of a store.",
)
def main(options: Namespace) -> None:
    """Write the file."""
    if not options.study and not options.benchmark:
        raise UsageError("--study, --benchmark: name at least one study or benchmark to report on.")
    from space.files.writing import write_output

    with opened(options.storage) as store:
        text = report(store, options.study, options.benchmark)
    output = Path(options.output)
    write_output("--output", output, text)
    say_whole(str(output))


def _json(text: str) -> Markup:
    """JSON that stands in a ``<script>`` element, whatever its strings say."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _code(text: str) -> Markup:
    """JavaScript without what would end or change the ``<script>`` element that it stands in."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


if __name__ == "__main__":
    main.run()
