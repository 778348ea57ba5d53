"""The program ``search``: every command by its name, from any directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from search.__main__ import COMMANDS, command, main
from search.init import main as init
from space import load_configs, load_space, load_tree
from space.errors import SpaceError, UsageError
from space.files.shipped import shipped_files
from storage.commands.command_line import command_line

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("search")


@pytest.fixture
def installed() -> Path:
    if not PROGRAM.exists():
        pytest.skip("the package is not installed beside this Python")
    return PROGRAM


def test_every_command_is_there_and_says_what_it_is() -> None:
    for name, (module, _) in COMMANDS.items():
        assert command(name).module == module.removesuffix(".__main__")


def test_every_module_that_is_a_command_has_a_name() -> None:
    called = {module.removesuffix(".__main__") for module, _ in COMMANDS.values()}
    for package in ("space", "trainables", "storage", "dashboards", "search"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if "main = Command(" in text or "Command.of(\n" in text:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                module = module.removesuffix(".__main__")
                assert module in called | {"search.reproduction", "space.terminal.command"}


def test_a_name_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="launch"):
        main(["lanch"])
    assert main(["--help"]) == main([]) == 0
    said = capsys.readouterr().out
    assert all(said.count(f"  {name} ") == 2 for name in COMMANDS)


def test_commands_are_shown_as_they_were_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/search"])
    assert command_line("search.grid_report", ["--study", "a"]).endswith(
        "search grid-report --study a"
    )
    assert command("storage").build_parser().prog == "search storage"
    monkeypatch.setattr(sys, "argv", ["search.py"])  # A user's own.
    assert command_line("storage", ["list"]).endswith("-m storage list")


def test_what_the_shell_completes(installed: Path, tmp_path: Path) -> None:
    def completed(line: str) -> set[str]:
        environment = {
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "words"),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        subprocess.run([installed], env=environment, check=True, timeout=300)
        return set((tmp_path / "words").read_text().replace("\v", " ").split())

    assert {"launch", "report", "storage"} <= completed("search ")
    assert "--space" in completed("search launch --s")
    assert "show" in completed("search storage s")


def test_shipped_files_are_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_space("siamese").study == "siamese"
    assert load_configs("table1").name == "table1"
    with pytest.raises(SpaceError, match="'siamese'"):
        load_space("siamse")
    Path("siamese").mkdir()  # What is there goes first.
    with pytest.raises(SpaceError, match="directory"):
        load_space("siamese")


@pytest.mark.parametrize("like", [key for key, path in shipped_files().items()
                                  if path.parent.name != "paper"])  # fmt: skip
def test_a_file_to_begin_with(
    like: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert init(["first", "--like", like]) == 0
    assert "--space first.yaml" in capsys.readouterr().out
    space = load_space("first.yaml")
    assert space.study == "first"
    assert space.parameters == load_space(like).parameters
    schema = json.loads(Path("first.schema.json").read_text())
    jsonschema.validate(load_tree("first.yaml"), schema)
    assert "$schema=first.schema.json" in Path("first.yaml").read_text().splitlines()[0]


def test_a_trainables_file_to_begin_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert init(["flowers", "--task"]) == 0
    assert "trainables check flowers.py:Digits" in capsys.readouterr().out
    space = load_space("flowers.yaml")
    assert space.config.trainable == "flowers.py:Digits"
    assert "width" in json.loads(Path("flowers.schema.json").read_text())["$defs"][
        "DigitsOptions"
    ]["properties"]  # fmt: skip
    with pytest.raises(UsageError, match="one file"):
        init(["other", "--task", "--like", "mlp"])
    with pytest.raises(UsageError, match="another name"):
        init(["flowers", "--task"])
    assert not Path("other.yaml").exists()


def test_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.schema.json").write_text("mine")
    with pytest.raises(UsageError, match="another name"):
        init([])
    with pytest.raises(UsageError, match="is no name"):
        init(["../a"])
    with pytest.raises(UsageError, match="'mlp'"):
        init(["b", "--like", "mpl"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.schema.json"]


def test_packages_of_a_users_own_name_do_not_matter_to_the_program(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "storage").mkdir()
    for name in ("storage/__init__.py", "search.py", "space.py"):
        (tmp_path / name).write_text("raise SystemExit(9)\n")
    shutil.copy(ROOT / "space/mlp.yaml", tmp_path / "a.yaml")
    done = subprocess.run(
        [installed, "space", "check", "a.yaml"], cwd=tmp_path, timeout=300, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
