"""Commands are shown and stored as they can be run again, but for passwords."""

from __future__ import annotations

import sys

import pytest

from storage.commands.command_line import command_line, has_option, option_values, with_option


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--space", "a b.yaml"], "--space 'a b.yaml'"),
        (["--ray-address", "ray://head:10001"], "--ray-address ray://head:10001"),
        (["--set", "data.root=s3://bucket"], "--set data.root=s3://bucket"),
        (["--storage", "results/x.db"], "--storage results/x.db"),
        (["--storage", "sqlite:///results/x.db"], "--storage sqlite:///results/x.db"),
        (
            ["--storage", "postgresql+psycopg://u:secret@h/d?password=secret"],
            "--storage 'postgresql+psycopg://u:***@h/d'",
        ),
        (
            ["--storage=postgresql://u:secret@h/d", "-v"],
            "'--storage=postgresql+psycopg://u:***@h/d' -v",
        ),
        (["--storage", "mysql://u:secret@h/d"], "--storage '***'"),
    ],
)
def test_command_line(arguments: list[str], shown: str) -> None:
    line = command_line("search.launch", arguments)
    assert line.endswith(f" -m search.launch {shown}")
    assert "secret" not in line
    assert line.split(" -m ")[0].endswith("python") or sys.executable in line


def test_the_options_of_a_recorded_command_are_read_again() -> None:
    command = "x -m y --config a.yaml 'b c.yaml' -v --set k=1 --config=d.yaml --augment"
    assert option_values(command, "--config") == ("a.yaml", "b c.yaml", "d.yaml")
    assert option_values(command, "--set") == ("k=1",)
    assert option_values(command, "--only") == ()
    assert has_option(command, "--augment")
    assert not has_option(command, "--table-only")
    assert option_values("x --set 'unbalanced", "--set") == ()
    assert not has_option("x --augment 'unbalanced", "--augment")


def test_an_option_gets_another_value() -> None:
    assert with_option("x --n=2 --m 1 --n 3 'a b'", "--n", "4") == "x --m 1 'a b' --n 4"
    assert with_option("x --n=2 --m 1 --n 3 'a b'", "--n") == "x --m 1 'a b'"


def test_a_command_for_a_cluster_with_a_token_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    line = command_line("search.launch", ["--ray-address", "auto", "--trials", "3"])
    assert line.startswith("RAY_AUTH_MODE=token ")
    assert with_option(line, "--trials", "6").startswith("RAY_AUTH_MODE=token ")
    assert option_values(line, "--ray-address") == ("auto",)
    assert "RAY_AUTH_MODE" not in command_line("search.launch", ["--trials", "3"])
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert "RAY_AUTH_MODE" not in command_line("search.launch", ["--ray-address", "auto"])
