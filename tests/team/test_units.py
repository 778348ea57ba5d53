"""The systemd units: systemd takes them, and our commands take what they start."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from search.__main__ import command
from storage.commands.kit import StoreCommand

from ..docs.reference import VARIABLES
from .image import TEAM

UNITS = sorted(TEAM.glob("*.service"))


def started(unit: Path) -> list[str]:
    """What a unit starts."""
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return shlex.split(parser["Service"]["ExecStart"])


def test_there_are_two() -> None:
    assert [unit.name for unit in UNITS] == ["search-agent.service", "search-server.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_a_unit_starts_is_a_command_with_its_options(unit: Path) -> None:
    program, name, *options = started(unit)
    assert program == "/opt/search/venv/bin/search"
    found = command(name)
    assert isinstance(found, StoreCommand)
    found.options(options)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_variables_of_a_unit_are_those_that_commands_know(unit: Path) -> None:
    file = TEAM / unit.name.replace("search-", "").replace(".service", ".env")
    assert f"EnvironmentFile=/etc/search/{file.name}\n" in unit.read_text()
    named = {
        line.partition("=")[0] for line in file.read_text().splitlines() if not line.startswith("#")
    }
    assert "SEARCH_STORAGE" in named
    assert named <= set(VARIABLES)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze, which checks units, is not installed")
    program = tmp_path / "search"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/search/venv/bin/search", str(program)))
    done = subprocess.run([verify, "verify", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (
        0,
        [],
    )


def test_a_unit_that_is_wrong_would_be_noticed(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze, which checks units, is not installed")
    wrong = tmp_path / "search-agent.service"
    wrong.write_text("[Service]\nExecStart=/bin/sh\nNoSuchSetting=yes\n")
    done = subprocess.run([verify, "verify", wrong], capture_output=True, text=True, check=False)
    assert "NoSuchSetting" in done.stderr
