"""The tutorials: their files, commands and code, from an empty directory, do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from search.__main__ import main
from storage import open_store
from storage.admin.check import check_store
from tests.search.here import Here
from trainables.finding.find import _KNOWN

GUIDE = Path(__file__).parents[3] / "docs" / "guide"


@pytest.mark.parametrize(("page", "n_commands"), [("first_search", 9), ("trainables", 8)])
def test_a_tutorial_from_an_empty_directory(
    page: str, n_commands: int, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("SEARCH_STORAGE", "SEARCH_DATA_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    _KNOWN.clear()
    # A seventh of the images to train on: how well they are learned is not the point.
    monkeypatch.setattr("trainables.shipped.digits_cnn.N_TRAIN", 185)
    text = (GUIDE / f"{page}.md").read_text()
    n_run = 0
    for kind, block in re.findall(r"```(python|yaml|sh)\n(.*?)```", text, flags=re.S):
        name = block.partition("\n")[0].removeprefix("# ")
        if kind == "sh":
            for line in block.splitlines():
                program, *words = shlex.split(line)
                assert program == "search"
                assert main(words) == 0, line
                n_run += 1
        elif Path(name).suffix in (".py", ".yaml"):
            Path(name).write_text(block)
        else:
            exec(compile(block, page, "exec"), {})
    assert n_run == n_commands
    store = open_store("results/search.db")
    runs = store.runs()
    assert {run.purpose for run in runs} == {"search", "confirm", "benchmark"}
    assert {run.state for run in runs} <= {"complete", "pruned"}
    assert check_store(store).findings == []
    store.close()
    _KNOWN.clear()
