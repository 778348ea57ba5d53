"""What commands print: laid out for its place, in the characters that there are."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from space.errors import UserError
from space.terminal import printing, streams
from space.terminal.command import Parser, local_path
from space.terminal.layout import Paper, command_lines, table_lines, wrapped
from space.terminal.printing import ConsoleHandler, as_csv, as_json
from space.words import count, plural

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("name", "parameters", "test error", "settings", "verdict")
ROWS = [
    ("alpha", "1,234", "0.0350 ± 0.0040", "rate=0.001 width=32 batch=12", "undecided with 5 seeds"),
    ("beta", "1", "0.1", "", "worse"),
]


@pytest.mark.parametrize("width", [10, 20, 30, 40, 60, 80, 200])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_table_fits_and_keeps_every_word(width: int, encoding: str) -> None:
    paper = Paper(width=width, encoding=encoding)
    lines = [line for line, _ in table_lines(COLUMNS, ROWS, paper, left=frozenset({0, 3, 4}))]
    longest = max(map(len, ["undecided", "rate=0.001"]))
    assert max(map(len, lines)) <= max(width, longest + 14)
    found = set(" ".join(lines).split())
    wanted = {w for row in (COLUMNS, *ROWS) for c in row for w in paper.plain(c).split()}
    assert found == wanted
    assert ("±" in found) == (encoding != "ascii")


def test_a_table_has_one_line_a_row_where_there_is_no_end() -> None:
    lines = [*table_lines(COLUMNS, ROWS, Paper())]
    assert len(lines) == 3
    assert [is_heading for _, is_heading in lines] == [True, False, False]


def test_sentences_and_commands_are_broken_between_words() -> None:
    paper = Paper(width=30)
    lines = wrapped("data      some words of a sentence that is long", paper, " " * 10)
    assert max(map(len, lines)) <= 30
    assert all(line.startswith(" " * 10) for line in lines[1:])
    command = "python -m search.launch --set 'a=b c' --space space.yaml --trials 20"
    lines = command_lines("go on: ", command, paper)
    assert len(lines) > 2
    script = "\n".join(lines).removeprefix("go on: ")
    assert shlex.split(script.replace("\\\n", "")) == shlex.split(command)


def test_what_is_not_printable_is_spelled() -> None:
    plain = Paper(encoding="ascii").plain("a\x1b[31m\n\u202eé±\udcff")
    assert plain == "a\\x1b[31m\\n\\u202e\\xe9+/-\\udcff"


def test_json_is_valid_in_every_encoding() -> None:
    text = as_json({"é": [1.5, float("nan"), float("inf"), -float("inf"), "\x1b\udcff"]})
    assert text.isascii()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "é": [1.5, "NaN", "Infinity", "-Infinity", "\x1b\udcff"]
    }


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "  =1+1", "＝1"])
def test_no_name_is_a_formula_and_numbers_stay_numbers(name: str) -> None:
    heading, line = as_csv([name], [[name]]).splitlines()
    assert heading == line
    assert line.startswith("'")
    assert as_csv(["a", "b", "c"], [[-0.5, -3, None]]).splitlines()[1] == "-0.5,-3,"
    assert as_csv(["a"], [["a, b"]]).splitlines()[1] == '"a, b"'


def test_counts() -> None:
    assert [count(n, "epoch") for n in (0, 1, 2, 1000)] == [
        "no epochs",
        "1 epoch",
        "2 epochs",
        "1,000 epochs",
    ]
    assert count(0.5, "CPU") == "0.5 CPUs"
    assert [*map(plural, ("launch", "study", "batch", "day", "search"))] == [
        "launches",
        "studies",
        "batches",
        "days",
        "searches",
    ]


SOURCES = [
    path
    for package in ("space", "trainables", "storage", "dashboards", "search")
    for path in (ROOT / package).rglob("*.py")
]


def test_no_command_prints_past_the_one_place() -> None:
    """`print`, a stream's own `write`, another console: they know neither width nor encoding."""
    for path in SOURCES:
        if path.is_relative_to(ROOT / "space" / "terminal") or path.name == "hidden.py":
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])print\(|sys\.stdout\.write|\bConsole\(", text), path


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 60 columns as stderr."""
    text = io.StringIO()
    text.isatty = lambda: True  # type: ignore[method-assign]
    console = Console(file=text, width=60, force_terminal=True, highlight=False)
    monkeypatch.setattr(printing, "error_console", lambda: console)
    monkeypatch.setenv("COLUMNS", "60")
    return text


def test_messages_of_the_log_stand_above_the_bar(terminal: io.StringIO) -> None:
    logger = logging.getLogger("search.made-up")
    handler = ConsoleHandler()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with (
            contextlib.redirect_stderr(terminal),
            Progress(console=printing.error_console(), auto_refresh=False) as bar,
        ):
            bar.add_task("runs", total=3)
            bar.refresh()
            logger.warning("a worker says: %s", "\x1b[31m" + "word " * 20)
            bar.refresh()
    finally:
        logger.removeHandler(handler)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    lines = [line.strip("\r ") for line in re.split("[\n\r]", plain)]
    said = [line for line in lines if "word" in line]
    assert said[0].startswith("a worker says: \\x1b[31mword word")
    assert sum(line.count("word") for line in said) == 20
    assert not any("runs" in line for line in said)
    assert max(map(len, said)) <= 60


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_still_told() -> None:
    """Only a reader that is gone is let pass."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        stream = streams._Stream(full.fileno())
        with pytest.raises(OSError, match="No space left"):
            stream.write(b"x")


@pytest.mark.parametrize("text", ["s3://bucket/x", "file:///tmp/x", "gs://b", "hdfs:/x", "S3:/x"])
def test_a_url_is_no_path(text: str) -> None:
    parser = Parser(prog="x")
    parser.add_argument("--checkpoints", type=local_path)
    with pytest.raises(UserError, match="is a URL, and only paths are supported"):
        parser.parse_args(["--checkpoints", text])
    assert local_path("a:b/c") == "a:b/c"
    assert local_path("~/x") == str(Path("~/x").expanduser())


MODULES = (
    "search.launch.__main__",
    "search.benchmark.__main__",
    "search.export.__main__",
    "search.simulate.__main__",
    "search.reproduction.__main__",
    "search.grid_report",
    "search.serve.__main__",
    "search.tokens",
    "storage.__main__",
    "space.__main__",
    "trainables.__main__",
    "dashboards.serve",
    "dashboards.report",
    "dashboards.publish",
)


def parsers(parser: Parser) -> Iterator[Parser]:
    """A parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            yield from action.choices.values()


@pytest.mark.parametrize("module", MODULES)
def test_help_names_defaults_and_gives_two_examples(module: str) -> None:
    whole: Parser = importlib.import_module(module).main.build_parser()
    for parser in parsers(whole):
        shown = parser.format_help()
        whole_lines = shown.replace(" \\\n    ", " ") + "\n"
        assert len(parser.examples) == 2, parser.prog
        for example in parser.examples:
            line = f"{parser.prog} {example}".rstrip()
            assert f"  {line}\n" in whole_lines
            arguments = shlex.split(line.removeprefix(whole.prog))
            whole.parse_args(arguments)  # Refuses what is not there.
        required = [each for each in parser._mutually_exclusive_groups if each.required]
        assert max(map(len, parser.epilog.splitlines())) < 80
        for action in parser._actions:
            is_flag = action.nargs == 0
            is_chosen = any(action in group._group_actions for group in required)
            if action.option_strings and not (action.required or is_flag or is_chosen):
                assert "default" in str(action.help), (parser.prog, action.option_strings)
                if action.default not in (None, []):
                    assert str(action.default) in str(action.help), action.option_strings


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("storage", "search.launch"),
        ("space", "storage"),
        ("storage", "dashboards.serve"),
        ("space", "trainables"),
        ("dashboards", "search.export"),
    ],
)
def test_a_file_of_the_users_that_hides_a_package_is_named(
    file: str, command: str, tmp_path: Path
) -> None:
    (tmp_path / f"{file}.py").write_text("x = 1\n", encoding="utf-8")
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {tmp_path}/{file}.py hides this project's package '{file}'; rename it, or run the "
        "command in another directory.\n"
    )
