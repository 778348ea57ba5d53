"""Write the report's reproduction from a store: ``python -m search.reproduction``.

The document and its figures are a function of the store and of the two table files alone: no data
set is read, nothing is trained, and the same store gives the same bytes.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import space
from space import load_configs
from space.files.writing import write_output
from space.terminal.command import count_of
from space.terminal.printing import say_whole
from storage.commands.kit import OUTPUT, STORAGE, StoreCommand, opened

__all__ = ["main"]

TABLES = Path(space.__file__).parent / "paper"


@StoreCommand.of(
    "search.reproduction",
    "Write the report's tables and curves beside ours, from a store alone.",
    STORAGE.but(help="default: the file that is named like the output, in .db"),
    OUTPUT.but(
        required=False,
        default="docs/reproduction.md",
        help="figures go beside it; default: docs/reproduction.md",
    ),
    count_of("--seeds1", "of Table I; default: 10", default=10),
    count_of("--seeds2", "of Table II; default: 3", default=3),
    examples=("", "--storage results/search.db --output report.md"),
)
def main(options: Namespace) -> None:
    """Write the document and its figures."""
    from search.reproduction.document import PaperTable, reproduction

    papers = [
        PaperTable(label=label, path=f"space/paper/{name}", file=file, n_seeds=n_seeds)
        for label, name, n_seeds in (
            ("Table I", "table1.yaml", options.seeds1),
            ("Table II", "table2.yaml", options.seeds2),
        )
        for file in [load_configs(TABLES / name)]
    ]
    output = Path(options.output)
    with opened(options.storage or str(output.with_suffix(".db"))) as store:
        document = reproduction(store, papers)
    write_output("--output", output, document.text)
    for name, svg in document.figures.items():
        write_output("--output", output.parent / "figures" / name, svg)
    say_whole(str(output))


if __name__ == "__main__":
    main.run()
