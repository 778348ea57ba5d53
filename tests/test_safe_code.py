"""What the code never does: SQL made of strings, YAML or pickles that can run code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_imports import MODULES, ROOT

TAKES_SQL = {"text", "execute", "executemany", "executescript", "exec_driver_sql", "DDL"}
CONSTANTS = {"BUSY_TIMEOUT_SECONDS"}
"""Names of numbers of ours that may stand in SQL: a PRAGMA takes no parameters."""


def calls(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """Every call with the object's and the function's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id, node


def is_made(argument: ast.expr) -> bool:
    """Whether an expression puts a string together."""
    if isinstance(argument, ast.JoinedStr):
        inner = [part.value for part in argument.values if isinstance(part, ast.FormattedValue)]
        names = {name.id for each in inner for name in ast.walk(each) if isinstance(name, ast.Name)}
        return not names <= CONSTANTS
    if isinstance(argument, ast.BinOp):
        return isinstance(argument.op, ast.Add | ast.Mod)
    return any(name in ("format", "join", "replace") for _, name, _ in calls(argument))


def unsafe(code: str) -> list[str]:
    """What a module does that none may."""
    found = []
    for owner, name, call in calls(ast.parse(code)):
        keywords = {each.arg: ast.unparse(each.value) for each in call.keywords}
        if name in TAKES_SQL and call.args and is_made(call.args[0]):
            found.append("SQL made of strings")
        if owner == "yaml" and name in ("load", "unsafe_load", "full_load", "load_all"):
            found.append("YAML that is not safe")
        if owner == "yaml" and name == "parse" and keywords.get("Loader") != "yaml.SafeLoader":
            found.append("YAML that is not safe")
        if owner == "torch" and name == "load" and keywords.get("weights_only") != "True":
            found.append("a checkpoint that can run code")
        if owner in ("pickle", "cloudpickle", "marshal", "shelve") and name in ("load", "loads"):
            found.append("a pickle")
        if name in ("eval", "exec") and not owner:
            found.append("code made of strings")
        if keywords.get("shell") == "True" or (owner == "os" and name in ("system", "popen")):
            found.append("a shell")
    return found


ALLOWED = {"search/tune_bridge.py": ["a pickle"]}
"""Tune hands an error of its own workers over as a file in the driver's private directory."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_does_what_none_may(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    assert unsafe(path.read_text()) == ALLOWED.get(name, [])


@pytest.mark.parametrize(
    "code",
    [
        'connection.execute(f"SELECT {name}")',
        'sa.text("SELECT " + name)',
        'cursor.execute("SELECT %s" % name)',
        'sa.text("SELECT {}".format(name))',
        'sa.text(" ".join(names))',
        "yaml.load(text)",
        "yaml.parse(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pickle.loads(data)",
        "eval(text)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_what_is_unsafe_is_found(code: str) -> None:
    assert len(unsafe(code)) == 1


def test_what_is_safe_is_not() -> None:
    assert unsafe('connection.execute(sa.text("SELECT :name"), {"name": name})') == []
    assert unsafe('cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}")') == []
