"""Put a study's figures and a note into Optuna Dashboard: ``python -m dashboards.publish``.

Optuna Dashboard keeps both as attributes of the study, in pieces of 2,045 characters, and reads all
of them whenever it shows the study. So the figures are drawn of fewer trials than our own pages
show, and none may take more than `MAX_PIECES` pieces. Publishing again replaces what was published.
"""

from __future__ import annotations

import math
import textwrap
from argparse import Namespace
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from space.terminal.printing import say, say_json
from space.words import count
from storage.commands.kit import STORAGE, STUDY, StoreCommand, format_of, opened

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from dashboards.figures.panel import Panel
    from dashboards.numbers.study.view import StudyView
    from storage import Store

__all__ = ["MAX_PIECES", "PIECE_LENGTH", "Published", "main", "publish", "published_figures"]

PIECE_LENGTH = 2045
"""Characters of an attribute, as Optuna Dashboard cuts them."""
MAX_PIECES = 32
"""Of one figure with all its plots."""
CAPTION_WIDTH = 80
"""Characters a line: Optuna Dashboard's boxes are half as wide as its page."""
TRIALS = (200, 100, 50, 25)
"""A figure is drawn of so many trials: the first number with which it is small enough."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published.

    Attributes:
        study: The study.
        storage: The store, as it may be shown.
        figures: Figure -> the pieces that it takes.
        left_out: Figures that are too large even of the fewest trials.
        note_pieces: The pieces that the note takes.
    """

    study: str
    storage: str
    figures: dict[str, int]
    left_out: tuple[str, ...]
    note_pieces: int


def publish(store: Store, name: str) -> Published:
    """Publish a study's figures and its note.

    What a person has written into the note stays: ours is put between two lines of its own.

    Args:
        store: The store.
        name: The study.

    Returns:
        What was published.

    Raises:
        StudyNotFoundError: If the store does not hold the study.
        StorageError: If the store cannot be read or written.
    """
    import optuna
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object

    from dashboards.note import merge_note, study_note
    from dashboards.numbers.study.view import read_study

    view = read_study(store, name)
    figures, left_out = published_figures(view)
    with store.guarded():
        study = optuna.load_study(study_name=name, storage=store.optuna_storage)
        for key, figure in figures.items():
            save_plotly_graph_object(study, figure, graph_object_id=key)
        before = get_note(study)
        note = merge_note(before, study_note(view))
        if note != before:
            save_note(study, note)
    return Published(
        study=name,
        storage=store.name,
        figures={key: _n_pieces(figure.to_json()) for key, figure in figures.items()},
        left_out=left_out,
        note_pieces=_n_pieces(note),
    )


def published_figures(view: StudyView) -> tuple[dict[str, go.Figure], tuple[str, ...]]:
    """A study's figures as Optuna Dashboard gets them.

    Args:
        view: The study.

    Returns:
        Figure by key, each small enough and made for a box of Optuna Dashboard's; and the keys of
        those that are not small enough even of the fewest trials.
    """
    from dashboards.figures.study.panels import study_panels

    found: dict[str, dict[str, go.Figure]] = {}
    keys: list[str] = []
    for max_trials in TRIALS:
        panels = study_panels(view, max_trials=max_trials, without=found)
        keys = keys or [panel.key for panel in panels]
        for panel in panels:
            plots = _boxed(panel)
            if sum(_n_pieces(plot.to_json()) for plot in plots.values()) <= MAX_PIECES:
                found[panel.key] = plots
    plots = {key: plot for panel in keys for key, plot in found.get(panel, {}).items()}
    return plots, tuple(key for key in keys if key not in found)


def _boxed(panel: Panel) -> dict[str, go.Figure]:
    """A panel's plots by key, each with its words inside, as high as its box, on its own paper."""
    import plotly.graph_objects as go

    from dashboards.figures.template import escape

    caption = [escape(line) for line in textwrap.wrap(panel.caption, CAPTION_WIDTH)]
    words = [
        f"<b>{escape(panel.title)}</b>",
        *(f'<span style="font-size:12px">{line}</span>' for line in caption),
    ]
    found = {}
    for number, plot in enumerate(panel.figures, start=1):
        figure = go.Figure(plot)
        own = [figure.layout.title.text] if figure.layout.title.text else []
        top = figure.layout.margin.t or figure.layout.template.layout.margin.t
        figure.update_layout(
            title={
                "text": "<br>".join([*words, *own]),
                "font": {"size": 15},
                "y": 1,
                "yanchor": "top",
                "pad": {"t": 14},
            },
            # Across, its buttons would lie on the words.
            modebar={"orientation": "v"},
            height=None,
            margin={"t": top + 24 + 18 * len(caption)},
            # Optuna Dashboard's paper may be dark, but it does not tell the figure.
            paper_bgcolor="#ffffff",
        )
        found[panel.key if number == 1 else f"{panel.key}-{number}"] = figure
    return found


def _n_pieces(text: str) -> int:
    return math.ceil(len(text) / PIECE_LENGTH)


@StoreCommand.of(
    "dashboards.publish",
    "Put a study's figures and a note into Optuna Dashboard.",
    STUDY,
    STORAGE,
    format_of("the result on stdout"),
    examples=("--study mlp", "--study mlp --format json"),
)
def main(options: Namespace) -> None:
    """Publish, and say what."""
    with opened(options.storage, look=False) as store:
        done = publish(store, options.study)
    if options.format == "json":
        say_json(asdict(done))
    else:
        say(_sentence(done))


def _sentence(done: Published) -> str:
    n_pieces = sum(done.figures.values()) + done.note_pieces
    said = f"study '{done.study}' in {done.storage}: published {count(len(done.figures), 'figure')}"
    said += f" and a note, {count(n_pieces, 'attribute')} in all"
    return f"{said}; too large: {', '.join(done.left_out)}" if done.left_out else said


if __name__ == "__main__":
    main.run()
