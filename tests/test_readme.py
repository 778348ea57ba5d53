"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import sqlite3
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from dashboards.statistics.sign_flips import LARGEST_EXACT
from search.benchmark import __main__ as benchmark
from search.export import __main__ as export
from search.launch import __main__ as launch
from search.simulate import __main__ as simulate
from storage import open_store
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.models.base import PairModel

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_model_it_adds_is_a_model() -> None:
    code = next(block for block in blocks("python") if "class Linear" in block)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    model = names["Linear"](width=8)  # type: ignore[operator]
    assert isinstance(model, PairModel)
    output = model(torch.zeros(3, 2, 14, 14))
    assert output.comparison_N2.shape == (3, 2)
    assert output.digits == ()


def test_the_lines_that_it_adds_register_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "trainables/shipped/digit_pairs/models"
    linear, lines = (block for block in blocks("python") if block.startswith(f"# {folder}/"))
    module = ModuleType("trainables.shipped.digit_pairs.models.linear")
    exec(compile(linear, "linear.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    source = (ROOT / folder / "registry.py").read_text()
    imported, entered = (part.partition("\n")[2] for part in lines.split("\n\n"))
    first = "from trainables.shipped.digit_pairs.models.mlp"
    source = source.replace(first, f"{imported}\n{first}")
    source = source.replace('    "mlp": MLP,\n', f'    "mlp": MLP,\n{entered}')
    registry: dict[str, Any] = {"__name__": "registry"}
    exec(compile(source, "registry.py", "exec"), registry)
    assert list(registry["MODELS"]) == ["mlp", "linear", *list(MODELS)[1:]]


def test_its_query_runs_on_a_store(tmp_path: Path) -> None:
    open_store(str(tmp_path / "s.db")).close()
    (query,) = blocks("sql")
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute(query).fetchall() == []


COMMANDS = {
    "search.launch": launch.main.build_parser,
    "search.benchmark": benchmark.main.build_parser,
    "search.export": export.main.build_parser,
    "search.simulate": simulate.main.build_parser,
}
LINES = [
    line
    for block in blocks("sh")
    for line in block.replace("\\\n", " ").splitlines()
    if re.search(r"-m search\.", line)
]


@pytest.mark.parametrize("line", LINES)
def test_its_commands_parse_and_name_files_that_are_there(line: str) -> None:
    words = shlex.split(line)
    module = words[words.index("-m") + 1]
    arguments = words[words.index("-m") + 2 :]
    options = COMMANDS[module]().parse_args(arguments)
    if module == "search.launch":
        assert (ROOT / options.space).exists()
    for path in re.findall(r"space/[\w/-]+\.yaml|tests/[\w/-]+\.json", README):
        assert (ROOT / path).exists()


def test_what_it_says_of_the_main_command_and_of_the_verdicts_is_so() -> None:
    said = " ".join(README.split())
    file = yaml.safe_load((ROOT / "space/siamese.yaml").read_text())
    narrow = file["without_gpu"]
    assert file["model"]["width"] == 8 * narrow["model"]["width"]
    epochs, fewer = file["training"]["epochs"], narrow["training"]["epochs"]
    assert f"an eighth of its width, for {fewer} epochs instead of {epochs};" in said
    assert f"a sign-flip test (exact up to {LARGEST_EXACT} seeds)" in said


def test_its_prose_is_wrapped() -> None:
    prose = re.sub(r"```.*?```|^\|.*?$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert max(map(len, prose.splitlines())) <= 100


def test_there_are_commands_to_check() -> None:
    assert len(LINES) >= 5
