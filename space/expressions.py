"""What holds or does not of named values, such as ``val_error < 0.1 and learning_rate > 0.01``.

Filters of rows and constraints of a space are written so. They are Python's own expressions without
calls and powers: comparisons, ``in`` a list, ``and``, ``or``, ``not``, brackets and ``+ - * /``
over names, numbers and quoted texts. They come from a file or an address that anybody may have
written, so they are taken apart here and never run.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from space.errors import UsageError, nearest

__all__ = ["LONGEST", "Expression", "Kind", "read_expression"]

_Test = Callable[[Mapping[str, Any]], bool]
_Term = Callable[[Mapping[str, Any]], Any]

LONGEST = 1000
"""Characters of an expression; no person's is longer."""
_CONSTANTS = {"true": True, "false": False, "none": None}
_ORDERS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_SUMS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_QUOTED = re.compile("`([^`]*)`")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What an expression is called where it is refused.

    Attributes:
        word: The expression, such as ``filter``.
        name: One of the names in it, such as ``column``.
        example: One that a person could mean.
    """

    word: str
    name: str
    example: str


@dataclass(frozen=True, kw_only=True)
class Expression:
    """An expression that was read.

    Attributes:
        holds: Whether it holds of values by their names, None where there is no value. What has no
            value is neither above nor below any, and neither is a text beside a number.
        names: The names in it, each once.
    """

    holds: _Test
    names: tuple[str, ...]


def read_expression(text: str, names: Collection[str], kind: Kind) -> Expression:
    """Read an expression.

    Args:
        text: The expression. A name that is none of Python's stands in backticks.
        names: The names that there are.
        kind: What it is called.

    Returns:
        The expression.

    Raises:
        UsageError: If it is none.
    """
    if len(text) > LONGEST:
        raise UsageError(f"the {kind.word} is longer than {LONGEST} characters; shorten it.")
    quoted: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        quoted.append(found[1])
        return f"_quoted_{len(quoted) - 1}_"

    try:
        tree = ast.parse(_QUOTED.sub(stand_in, text).strip(), mode="eval").body
        reader = _Reader(names, quoted, kind)
        return Expression(holds=reader.truth(tree), names=tuple(reader.used))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UsageError(
            f"the {kind.word} cannot be read; write it like {kind.example}."
        ) from error


class _Reader:
    def __init__(self, names: Collection[str], quoted: list[str], kind: Kind) -> None:
        self._names, self._kind = names, kind
        self._quoted = {f"_quoted_{place}_": name for place, name in enumerate(quoted)}
        self.used: dict[str, None] = {}

    def truth(self, node: ast.expr) -> _Test:
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(part) for part in node.values]
            every = all if isinstance(node.op, ast.And) else any
            return lambda row: every(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            part = self.truth(node.operand)
            return lambda row: not part(row)
        if isinstance(node, ast.Compare):
            terms = [self.term(each) for each in (node.left, *node.comparators)]
            steps = list(zip(map(_relation, node.ops), terms, terms[1:], strict=False))
            return lambda row: all(holds(one(row), other(row)) for holds, one, other in steps)
        term = self.term(node)
        return lambda row: bool(term(row))

    def term(self, node: ast.expr) -> _Term:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool):
            value = node.value
            return lambda row: value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner, sign = node.operand, -1 if isinstance(node.op, ast.USub) else 1
            if isinstance(inner, ast.Constant) and isinstance(inner.value, int | float):
                signed = sign * inner.value
                return lambda row: signed
        if isinstance(node, ast.Tuple | ast.List):
            terms = [self.term(each) for each in node.elts]
            return lambda row: [each(row) for each in terms]
        if isinstance(node, ast.BinOp) and type(node.op) in _SUMS:
            one, other, compute = self.term(node.left), self.term(node.right), _SUMS[type(node.op)]
            return lambda row: _computed(compute, one(row), other(row))
        if isinstance(node, ast.Name | ast.Attribute | ast.Constant):
            return self.named(ast.unparse(node))
        raise UsageError(
            f"the {self._kind.word} cannot hold “{ast.unparse(node)[:60]}”: it compares "
            f"{self._kind.name}s with values, like {self._kind.example}."
        )

    def named(self, name: str) -> _Term:
        name = self._quoted.get(name, name)
        if name in self._names:
            self.used[name] = None
            return lambda row: row.get(name)
        if name.lower() in _CONSTANTS:
            value = _CONSTANTS[name.lower()]
            return lambda row: value
        raise UsageError(
            f"the {self._kind.word} names “{name[:60]}”, which is no {self._kind.name} (a text "
            f"stands in quotation marks, a {self._kind.name} of an odd name in backticks)"
            f"{nearest(name, self._names) or '.'}"
        )


def _computed(compute: Callable[[Any, Any], Any], one: Any, other: Any) -> float | None:
    """A sum, difference, product or quotient; None where there is no such number."""
    for each in (one, other):
        if isinstance(each, bool) or not isinstance(each, int | float):
            return None
    try:
        return compute(one, other)  # type: ignore[no-any-return]
    except (ZeroDivisionError, OverflowError):
        return None


def _relation(order: ast.cmpop) -> Callable[[Any, Any], bool]:
    if isinstance(order, ast.Eq | ast.Is):
        return _same
    if isinstance(order, ast.NotEq | ast.IsNot):
        return lambda one, other: not _same(one, other)
    if isinstance(order, ast.In | ast.NotIn):
        wanted = isinstance(order, ast.In)
        return lambda one, other: _among(one, other) == wanted
    compare = _ORDERS[type(order)]

    def ordered(one: Any, other: Any) -> bool:
        texts = isinstance(one, str), isinstance(other, str)
        comparable = isinstance(one, str | int | float) and isinstance(other, str | int | float)
        return comparable and texts[0] == texts[1] and bool(compare(one, other))

    return ordered


def _same(one: Any, other: Any) -> bool:
    # True is no 1 here.
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def _among(one: Any, other: Any) -> bool:
    if isinstance(other, list):
        return any(_same(one, each) for each in other)
    return isinstance(one, str) and isinstance(other, str) and one in other
