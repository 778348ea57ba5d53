"""The site is built without a warning, needs nothing from elsewhere, and its reference is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from space.errors import SpaceError
from space.files.load import parse_tree
from space.study.space import Space

from .reference import EXAMPLES, FOLDER, VARIABLES, pages

ROOT = FOLDER.parents[1]
_MINIMAL = """\
study: s
model: {name: mlp}
parameters: {learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2}}
budget: {trials: 5}
"""


def test_the_reference_is_that_of_the_code() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert written == pages(), "python -m tests.docs.reference writes it anew"


@pytest.mark.parametrize("key", EXAMPLES)
def test_an_example_of_the_reference_is_allowed(key: str) -> None:
    tree = yaml.safe_load(_MINIMAL) | yaml.safe_load(EXAMPLES[key])
    tree.pop("without_gpu", None)
    if key == "without_gpu":
        tree |= yaml.safe_load(EXAMPLES[key])["without_gpu"]
    parse_tree(Space, tree, "example")


def test_an_example_with_a_mistake_is_refused() -> None:
    tree = yaml.safe_load(_MINIMAL) | {"pruner": "ash"}
    with pytest.raises(SpaceError):
        parse_tree(Space, tree, "example")


def test_every_variable_of_the_environment_is_on_the_page() -> None:
    found = {
        name
        for package in ("space", "trainables", "storage", "dashboards", "search")
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r'^\w+ = "(SEARCH_[A-Z_]+)"', path.read_text(), re.MULTILINE)
    }
    assert found == VARIABLES.keys()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    config = str(ROOT / "docs" / "site" / "mkdocs.yml")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", config, "-d", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_needs_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?((?:https?:)?//[^\"'\s>]*)"
        r"|<link\b(?![^>]*\brel=[\"']?canonical)[^>]*\bhref=[\"']?((?:https?:)?//[^\"'\s>]*)"
        r"|(?:url\(|@import )[\"']?((?:https?:)?//[^\"')\s]*)"
    )
    files = [path for kind in ("*.html", "*.css") for path in site.rglob(kind)]
    assert len(files) > 15
    found = {
        (str(path.relative_to(site)), "".join(match))
        for path in files
        for match in loaded.findall(path.read_text(encoding="utf-8"))
    }
    assert not found


def test_the_pages_are_there(site: Path) -> None:
    assert (site / "index.html").exists()
    assert (site / "guide" / "searching.html").exists()
    assert (site / "reference" / "space_file.html").exists()


def test_every_page_is_in_the_site_s_contents() -> None:
    config = (ROOT / "docs" / "site" / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    names = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    assert len(names) > 15
    assert not [name for name in names if f": {name}\n" not in config]
