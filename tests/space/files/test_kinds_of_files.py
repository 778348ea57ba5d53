"""A file of the other kind is named for what it is, with the command that takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from space import load_configs, load_space
from space.errors import SpaceError

SPACE = Path("space/siamese.yaml")
CONFIGS = Path("space/paper/table1.yaml")


def test_a_search_space_file_is_no_config_file() -> None:
    with pytest.raises(SpaceError) as caught:
        load_configs(SPACE)
    said = str(caught.value)
    assert said.startswith("space/siamese.yaml: a search-space file")
    assert "`python -m search.launch --space space/siamese.yaml`" in said


def test_a_config_file_is_no_search_space_file() -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(CONFIGS, ["training.epochs=1"])
    said = str(caught.value)
    assert said.startswith("space/paper/table1.yaml: a config file")
    assert "`python -m search.benchmark --config space/paper/table1.yaml`" in said


def test_the_command_can_be_typed_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "my space.yaml"
    path.write_text(SPACE.read_text())
    with pytest.raises(SpaceError, match=f"--space '{path}'`"):
        load_configs(path)


@pytest.mark.parametrize(
    ("extra", "said"), [("configs: []", "configs: unknown key"), ("config: 1", "config: unknown")]
)
def test_a_mistaken_key_does_not_make_it_another_kind(
    tmp_path: Path, extra: str, said: str
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(f"{SPACE.read_text()}\n{extra}\n")
    with pytest.raises(SpaceError, match=f"^{path}: {said}"):
        load_space(path)


def test_a_file_of_neither_kind_is_told_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("name: odd\n")
    with pytest.raises(SpaceError, match=f"^{path}: configs: required, but missing$"):
        load_configs(path)
