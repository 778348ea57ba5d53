"""The note of a study in Optuna Dashboard: the plan, the best config and the verdict."""

from __future__ import annotations

from dashboards.numbers.study.view import StudyView
from dashboards.story import confirmation_outcome, how_it_went, question, study_outcome
from dashboards.tables.drawing import Sheet, draw, escape_markdown
from dashboards.tables.study import best_sheet, confirmation_sheet, space_sheet, terms_sheet

__all__ = ["merge_note", "study_note"]

# Markdown shows nothing for the definition of a link that nothing refers to.
BEGIN = (
    "[begin]: # (written by python -m dashboards.publish; what is outside these two lines stays)"
)
END = "[end]: # (of what python -m dashboards.publish has written)"
N_BEST = 3


def study_note(view: StudyView) -> str:
    """What there is to say of a study, as Markdown; what a user has named is escaped.

    Args:
        view: The study.
    """
    parts = [_text(question(view)), "## Plan"]
    if view.space is not None:
        parts.append(_sheet(terms_sheet(view.space)))
    parts.append(_sheet(space_sheet(view)))
    parts.append("## How it went")
    parts += [_text(sentence) for sentence in how_it_went(view, is_running=False)]
    parts += ["## Best config", _text(study_outcome(view))]
    if view.best is not None:
        parts.append(_sheet(best_sheet(view, N_BEST)))
    parts.append("## Verdict")
    if view.confirmation is None:
        parts.append(
            "Not confirmed on fresh seeds yet. The best of many trials is partly luck: a config "
            "that was picked for its value had a lucky seed more often than not."
        )
    else:
        parts.append(_text(confirmation_outcome(view.confirmation)))
        parts.append(_sheet(confirmation_sheet(view.confirmation)))
    return "\n\n".join(parts)


def merge_note(before: str, ours: str) -> str:
    """A note with our part replaced, or added below what a person has written.

    Args:
        before: The note as it is.
        ours: Our part.

    Returns:
        The whole note.
    """
    part = f"{BEGIN}\n\n{ours}\n\n{END}"
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if begin and end:
        return f"{head}{part}{tail}"
    return f"{before.rstrip()}\n\n{part}" if before.strip() else part


def _text(text: str) -> str:
    """A paragraph of plain text."""
    return escape_markdown(" ".join(text.split()))


def _sheet(sheet: Sheet) -> str:
    return draw(sheet, "markdown").rstrip()
