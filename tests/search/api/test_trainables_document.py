"""The tutorial on trainables: its files and commands, from an empty directory, do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search.__main__ import main
from storage import open_store
from storage.admin.check import check_store
from tests.search.here import Here
from trainables.finding.find import _KNOWN

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "trainables.md"


def test_the_tutorial_from_an_empty_directory(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCH_STORAGE", raising=False)
    _KNOWN.clear()
    blocks = re.findall(r"```(python|yaml|sh)\n(.*?)```", PAGE.read_text(), flags=re.S)
    n_commands = 0
    for kind, text in blocks:
        if kind != "sh":
            name = text.partition("\n")[0].removeprefix("# ")
            Path(name).write_text(text)
            continue
        for line in text.splitlines():
            program, *words = line.split()
            assert program == "search"
            assert main(words) == 0, line
            n_commands += 1
    assert n_commands == 8
    store = open_store("results/search.db")
    runs = {run.purpose for run in store.runs()}
    assert runs == {"search", "confirm", "benchmark"}
    assert {run.state for run in store.runs()} == {"complete"}
    assert check_store(store).findings == []
    store.close()
    _KNOWN.clear()
