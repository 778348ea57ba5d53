"""What is searched, stored and shown knows no task: neither by its imports nor by its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("search", "storage", "space", "dashboards")
WORD = re.compile(
    r"(?<![a-z])(pairs?|images?|digits?|aux|auxiliary|mnist|siamese|closed[ _-]form)(?![a-z])"
)
"""Of the tasks that are shipped, which come in names and in sentences."""
APART = {
    "search/reproduction": "the document of the study of digit pairs",
    "storage/migrations": "stores of older releases hold nothing but digit pairs",
}
"""Folder -> why it speaks of a task."""
PHRASES = {
    "digit-pair-search": "the name of the distribution",
    "digit-pairs": "the trainable that files mean which name none",
    "letters, digits": "of which names are made",
    "a letter, a digit": "the same",
    "hexadecimal digits": "of a hash",
    "image/svg": "the type of a file",
    '"to image"': "a button of Plotly's",
    "plotly.download image": "what Plotly saves a figure with",
}
"""What is no word of a task -> what it is instead."""


def modules(package: str) -> Iterator[Path]:
    """Its code, and the templates and scripts of its pages."""
    for path in sorted((ROOT / package).rglob("*")):
        where = path.relative_to(ROOT).as_posix()
        is_apart = where.startswith(tuple(f"{folder}/" for folder in APART))
        if path.suffix in {".py", ".html", ".js", ".css"} and not is_apart:
            yield path


def written_apart(text: str) -> str:
    """A text whose names are in words."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text).lower().replace("_", " ")


def words_of_tasks(text: str) -> list[str]:
    """The words of tasks in a text, in names that are written together, too."""
    apart = written_apart(text)
    for phrase in PHRASES:
        apart = apart.replace(phrase, "")
    return WORD.findall(apart)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_speaks_of_a_task(package: str) -> None:
    paths = list(modules(package))
    assert len(paths) > 20
    found = {
        f"{path.relative_to(ROOT)}, line {number}": words
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for words in [words_of_tasks(line)]
        if words
    }
    assert found == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_imports_what_is_shipped(package: str) -> None:
    for path in modules(package):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    assert not node.module.startswith("trainables.shipped"), path
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert "trainables.shipped" not in node.value, path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n_train_pairs", ["pairs"]),
        ("class DigitPairs(Task):", ["digit", "pairs"]),
        ("aux_weight: float", ["aux"]),
        ("CLOSED_FORM = 'closed-form'", ["closed form", "closed-form"]),
        ("on the training images of MNIST", ["images", "mnist"]),
        ("compare_paired(values, 16 hexadecimal digits)", []),
    ],
)
def test_a_word_is_found_however_it_is_written(text: str, words: list[str]) -> None:
    assert words_of_tasks(text) == words


def test_every_exception_is_needed() -> None:
    everything = "\n".join(
        written_apart(path.read_text()) for package in PACKAGES for path in modules(package)
    )
    assert [phrase for phrase in PHRASES if phrase not in everything] == []
    assert [folder for folder in APART if not (ROOT / folder).is_dir()] == []
