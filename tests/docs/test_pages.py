"""What the README and the pages under docs/ show works as it stands there."""

from __future__ import annotations

import re
import shlex
import sqlite3
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from dashboards.statistics.sign_flips import LARGEST_EXACT
from search.__main__ import COMMANDS, command
from storage import open_store
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.models.base import PairModel

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
WRITTEN_BY_COMMANDS = ("docs/reproduction.md", "docs/performance.md", "docs/reference/")
"""Pages that are compared with what writes them; their lines are as long as they come out."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], flags=re.DOTALL)


NETWORKS = "docs/guide/networks.md"


def test_the_model_it_adds_is_a_model() -> None:
    code = next(block for block in blocks(NETWORKS, "python") if "class Linear" in block)
    names: dict[str, object] = {}
    exec(compile(code, NETWORKS, "exec"), names)
    model = names["Linear"](width=8)  # type: ignore[operator]
    assert isinstance(model, PairModel)
    output = model(torch.zeros(3, 2, 14, 14))
    assert output.comparison_N2.shape == (3, 2)
    assert output.digits == ()


def test_the_lines_that_it_adds_register_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "trainables/shipped/digit_pairs/models"
    linear, lines = (
        block for block in blocks(NETWORKS, "python") if block.startswith(f"# {folder}/")
    )
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
    (query,) = blocks("docs/guide/store.md", "sql")
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute(query).fetchall() == []


MODULES = {module.removesuffix(".__main__"): name for name, (module, _) in COMMANDS.items()}


def typed(line: str) -> tuple[str, list[str]] | None:
    """The module and the arguments of a command of ours in a line of a shell."""
    words = shlex.split(line, comments=True)
    if "-m" in words:
        module, *arguments = words[words.index("-m") + 1 :]
        return module, arguments
    if words[:1] == ["search"]:
        return COMMANDS[words[1]][0].removesuffix(".__main__"), words[2:]
    return None


LINES = [
    (page, part.strip())
    for page in PAGES
    for block in blocks(page, "sh")
    for line in block.replace("\\\n", " ").splitlines()
    for part in re.split(r"&&|(?<!\S)[|>](?!\S)", line)
    if re.search(r" -m \w|^ *search ", part)
]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_commands_parse_and_name_files_that_are_there(page: str, line: str) -> None:
    found = typed(line)
    assert found is not None
    module, arguments = found
    if module not in MODULES:
        assert find_spec(module) is not None
        return
    options = command(MODULES[module]).build_parser().parse_args(arguments)
    if module == "search.launch" and options.space.startswith("space/"):
        assert (ROOT / options.space).exists()


@pytest.mark.parametrize("page", PAGES)
def test_files_and_pages_that_are_named_are_there(page: str) -> None:
    text = PAGES[page]
    for path in re.findall(r"(?<![\w/])(?:space/[\w/-]+\.yaml|tests/[\w/-]+\.(?:json|py))", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(
        r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text, flags=re.S)
    ):
        assert "://" in link or (ROOT / page).parent.joinpath(link).exists(), link


def test_what_is_said_of_the_main_command_and_of_the_verdicts_is_so() -> None:
    said = " ".join(PAGES["README.md"].split())
    file = yaml.safe_load((ROOT / "space/siamese.yaml").read_text())
    narrow = file["without_gpu"]
    assert file["model"]["width"] == 8 * narrow["model"]["width"]
    epochs, fewer = file["training"]["epochs"], narrow["training"]["epochs"]
    assert f"an eighth of its width, for {fewer} epochs instead of {epochs};" in said
    verdicts = " ".join(PAGES["docs/guide/verdicts.md"].split())
    assert f"a sign-flip test (exact up to {LARGEST_EXACT} seeds)" in verdicts


@pytest.mark.parametrize("page", [p for p in PAGES if not p.startswith(WRITTEN_BY_COMMANDS)])
def test_prose_is_wrapped(page: str) -> None:
    prose = re.sub(r"```.*?```|^\|.*?$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    assert max(map(len, prose.splitlines())) <= 100


def test_the_readme_is_for_five_minutes() -> None:
    assert len(PAGES["README.md"].splitlines()) < 150


def test_every_guide_is_reached_from_the_readme() -> None:
    pages = [page for page in PAGES if page.startswith("docs/guide/")]
    assert len(pages) > 5
    assert not [page for page in pages if f"({page})" not in PAGES["README.md"]]


def test_there_are_commands_to_check() -> None:
    assert len(LINES) >= 20


FAQ = "docs/guide/faq.md"
HEADS = re.findall(r"^## `(.*)`$", PAGES[FAQ], re.MULTILINE)


@pytest.fixture(scope="module")
def source() -> str:
    """The code, with texts of several lines as one."""
    packages = ("space", "trainables", "storage", "dashboards", "search")
    files = [path for each in packages for path in sorted((ROOT / each).rglob("*.py"))]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", code)


def test_every_question_of_the_faq_is_headed_with_a_refusal() -> None:
    assert len(HEADS) > 10
    assert len(HEADS) == len(re.findall(r"^## ", PAGES[FAQ], re.MULTILINE))


@pytest.mark.parametrize("words", HEADS)
def test_a_refusal_in_the_faq_is_one_of_the_code(words: str, source: str) -> None:
    assert words in source
