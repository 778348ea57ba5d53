"""The words of pages that a newcomer may not know, explained where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape

__all__ = ["TERMS", "explained", "word_id"]

TERMS = {
    "baseline": "a point that the space file asks for; it is tried first, and the others are "
    "compared with it",
    "rung": "an epoch at which the pruner compares trials",
    "pruned": "stopped before its last epoch by the pruner, since it was behind the others",
    "fresh seeds": "seeds that nothing was chosen by: what is trained on them tells a gain from "
    "luck",
    "replicate": "one of a trial's runs, each on its own seeds",
    "kept epoch": "the epoch whose state a run keeps, the best by the metric that it is judged by",
    "warm start": "the best trials of an earlier study of the same parameters and objective, tried "
    "as a study's first ones, after its baselines",
    "Pareto front": "the trials than which no other is better by one objective and as good by all "
    "others",
    "detectable": "the difference that so many seeds would have shown in 4 of 5 cases",
    "Holm": "a correction of p values for several comparisons at once: among all of a table's "
    "there is a wrong one in at most 5 of 100 cases",
    "95 % interval": "where the mean of many more seeds lies, in 95 of 100 cases",
    "undecided": "the seeds show no difference, and could not rule one out",
    "equivalent": "the difference is shown to be less than the margin",
    "margin": "a difference, in the unit of what is compared, below which none matters",
    "reference": "the config that a benchmark compares the others with",
    "fingerprint": "a hash of the data that a run was trained on",
    "sampler": "what proposes a trial's parameters, e.g. TPE",
    "pruner": "what stops trials early that are behind others, e.g. ASHA",
    "importance": "the share of the differences between trials that a parameter explains",
    "optimistic": "better than new runs would be, since it was the best of several",
}
"""Word -> what it means, in short."""

_TAG = re.compile(r"(<[^>]+>)")
_WORDS = re.compile(
    rf"(?<![\w-])({'|'.join(re.escape(word) for word in TERMS)})(?![\w-])", re.IGNORECASE
)
_BY_CASE = {word.lower(): word for word in TERMS}
_AS_THEY_ARE = ("a", "button", "code", "h1", "pre", "script", "strong", "summary", "svg", "title")
"""Elements in whose text nothing is explained: commands, names, links, drawings."""


def word_id(word: str) -> str:
    """Where a page has what a word means."""
    return "word-" + re.sub("[^a-z0-9]+", "-", word.lower())


def explained(pieces: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Explain each word of `TERMS` where it stands first.

    Args:
        pieces: HTML as templates make it, every text escaped, in the order in which it is read.

    Returns:
        The pieces, in which such a word is a link to ``#word-...`` whose tooltip explains it; and
        the words in the order in which they stand, with what they mean.
    """
    used: dict[str, str] = {}

    def explain(match: re.Match[str]) -> str:
        word = _BY_CASE[match[1].lower()]
        if word in used:
            return match[0]
        used[word] = TERMS[word]
        link = f'<a class="term" href="#{word_id(word)}" title="{escape(TERMS[word])}">'
        return f"{link}{match[0]}</a>"

    return [_explain_text(piece, explain) for piece in pieces], list(used.items())


def _explain_text(html: str, explain: Callable[[re.Match[str]], str]) -> str:
    """Let words be explained in the text of a piece of HTML, but not within some elements."""
    within: list[str] = []
    parts = _TAG.split(html)
    for place, part in enumerate(parts):
        if place % 2 == 0:
            if not within:
                parts[place] = _WORDS.sub(explain, part)
            continue
        name = re.match(r"</?([a-z0-9]+)", part)
        if name is None or name[1] not in _AS_THEY_ARE:
            continue
        if part.startswith("</"):
            del within[-1:]
        else:
            within.append(name[1])
    return "".join(parts)
