"""Every command under every stream: no traceback, nothing lost, nothing split."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from space.terminal.streams import shown, spelled

from .harness.stream_matrix import ESCAPED, STREAMS

ROOT = Path(__file__).resolve().parents[1]
BOLD = re.compile(r"\x1b\[[01]m")
TIMES = re.compile(
    r'\d\d:\d\d(?::\d\d(?:\.\d+)?)?|\b\d+s\b|\d+ s$|127\.0\.0\.1:\d+|"seconds": [\d.]+',
    re.MULTILINE,
)
JSON = ("launch again", "export json", "benchmark json", "list json", "show foreign json")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, Any]]]:
    """Stream and encoding -> command -> its exit status, stdout and stderr as bytes."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.harness.stream_matrix",
            str(tmp_path_factory.mktemp("streams")),
        ],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(done.stdout)
    for results in found.values():
        for result in results.values():
            result["out"] = base64.b64decode(result["out"])
            result["err"] = base64.b64decode(result["err"])
    return found


def words(text: str) -> set[str]:
    """The words of a text, but for times and the mark of a command that goes on."""
    return {word for word in TIMES.sub("", BOLD.sub("", text)).split() if word != "\\"}


@pytest.mark.parametrize(("stream", "encoding"), STREAMS)
def test_no_command_fails_or_prints_what_a_terminal_would_obey(
    matrix: dict[str, dict[str, dict[str, Any]]], stream: str, encoding: str
) -> None:
    results = matrix[f"{stream} {encoding}"]
    assert len(results) > 25
    for name, result in results.items():
        assert result["status"] == (2 if name == "refused" else 0), (name, result)
        assert b"Traceback" not in result["out"] + result["err"], name
        for text in (result["out"], result["err"]):
            said = text.decode(encoding)
            if stream.isdigit() and text is result["err"]:
                continue  # What redraws itself.
            assert all(line.isprintable() for line in BOLD.sub("", said).split("\n")), (name, said)


@pytest.mark.parametrize(("stream", "encoding"), STREAMS[:4])
def test_nothing_is_lost_and_nothing_split(
    matrix: dict[str, dict[str, dict[str, Any]]], stream: str, encoding: str
) -> None:
    whole = matrix["pipe utf-8"]
    for name, result in matrix[f"{stream} {encoding}"].items():
        wanted = words(spelled(whole[name]["out"].decode(), encoding))
        found = words(result["out"].decode(encoding))
        assert found == wanted, (name, sorted(found ^ wanted))
        assert found or name == "refused", name
        if name in JSON:
            assert result["out"].isascii()
            json.loads(result["out"], parse_constant=pytest.fail)
        if stream.isdigit() and name not in JSON and not name.endswith(("csv", "schema")):
            for line in BOLD.sub("", result["out"].decode(encoding)).split("\n"):
                has_long_word = any(cell_len(word) > int(stream) - 24 for word in line.split())
                assert cell_len(line) <= int(stream) or has_long_word, (name, line)


def test_what_other_tools_named_is_shown_in_full(
    matrix: dict[str, dict[str, dict[str, Any]]],
) -> None:
    foreign = matrix["pipe utf-8"]["show foreign"]["out"].decode()
    assert shown(f"rate {ESCAPED}=") in foreign
    assert shown(f"kind=={ESCAPED}") in foreign or "kind=b" in foreign
    assert shown(ESCAPED) in matrix["pipe utf-8"]["list"]["out"].decode()
    found = json.loads(matrix["pipe ascii"]["show foreign json"]["out"])
    assert found["study"] == ESCAPED
    assert "Infinity" in json.dumps(found["trials"])
    assert b"\n'=b," in matrix["pipe utf-8"]["benchmark csv"]["out"]


def test_a_file_is_written_in_full_whatever_becomes_of_stdout(
    matrix: dict[str, dict[str, dict[str, Any]]],
) -> None:
    for stream in ("closed ascii", "broken utf-8"):
        assert matrix[stream]["export"]["status"] == 0
        # What it wrote is what it reads again, and refuses to replace with anything else.
        assert matrix[stream]["export json"]["status"] == 0


@pytest.mark.parametrize("redirection", [">&-", "| head -c 1", "2>&- >&-", "<&- >&-"])
def test_an_interpreter_that_starts_without_a_stream(redirection: str, tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m space schema {redirection}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("redirection", [">&-", "2>&- >&-", "<&- >&-"])
def test_a_closed_streams_number_goes_to_no_other_file(redirection: str, tmp_path: Path) -> None:
    """What a library or a process that it starts prints would land in that file: a store, say."""
    script = (
        "import os; from space.terminal.streams import mend_streams; mend_streams(); "
        f"os.write(os.open({str(tmp_path / 'next')!r}, os.O_CREAT | os.O_WRONLY), b'mine'); "
        "[os.write(number, b'stray') for number in (1, 2)]; "
        "assert all(map(os.get_inheritable, (0, 1, 2)))"
    )
    command = f'"{sys.executable}" -c "{script}" {redirection}'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0
    assert (tmp_path / "next").read_bytes() == b"mine"
