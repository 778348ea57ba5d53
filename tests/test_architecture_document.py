"""The page on how the code is built names what is there."""

from __future__ import annotations

import importlib
import re

import pytest

from .import_picture import draw, drawn
from .test_imports import ALLOWED, ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z_]+(?:\.\w+)+)`", PAGE))))
def test_what_the_page_names_is_there(name: str) -> None:
    parts = name.split(".")
    assert parts[0] in ALLOWED
    found = importlib.import_module(parts[0])
    for n_parts, part in enumerate(parts[1:], start=2):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join(parts[:n_parts]))


def test_every_room_of_search_is_on_the_page() -> None:
    rooms = [path.parent.name for path in (ROOT / "search").glob("*/__init__.py")]
    assert len(rooms) > 5
    assert not [room for room in rooms if f"`{room}/`" not in PAGE]


def test_the_picture_of_imports_is_that_of_the_code() -> None:
    assert drawn() == draw(), "python -m tests.import_picture draws it anew"
