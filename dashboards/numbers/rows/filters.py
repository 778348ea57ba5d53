"""Filters of rows, such as ``val_error < 0.1 and learning_rate > 0.01``.

They are Python's own expressions without anything that computes: comparisons, ``in`` a list,
``and``, ``or``, ``not`` and brackets over columns, numbers and quoted texts. They come from an
address that anybody may have written, so they are taken apart here and never run.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from space import Value
from space.errors import UsageError, nearest

__all__ = ["Filter", "read_filter"]

Filter = Callable[[Mapping[str, Value | None]], bool]
"""Whether a row is wanted; by the names of its columns, None where it has no value."""
_Term = Callable[[Mapping[str, Value | None]], Any]

LONGEST = 1000
"""Characters of a filter; no person's is longer."""
EXAMPLE = "val_error < 0.1 and learning_rate > 0.01"
_CONSTANTS = {"true": True, "false": False, "none": None}
_ORDERS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_QUOTED = re.compile("`([^`]*)`")


def read_filter(text: str, columns: Collection[str]) -> Filter:
    """Read a filter.

    Args:
        text: The filter; empty for one that holds of every row. A column whose name is no
            Python name stands in backticks.
        columns: The names that there are.

    Returns:
        Whether it holds of a row. A value that a row lacks is neither above nor below any, and
        neither is a text beside a number.

    Raises:
        UsageError: If it is none.
    """
    if not text.strip():
        return lambda row: True
    if len(text) > LONGEST:
        raise UsageError(f"the filter is longer than {LONGEST} characters; shorten it.")
    quoted: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        quoted.append(found[1])
        return f"_quoted_{len(quoted) - 1}_"

    try:
        tree = ast.parse(_QUOTED.sub(stand_in, text).strip(), mode="eval").body
        return _Reader(columns, quoted).truth(tree)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UsageError(f"the filter cannot be read; write it like {EXAMPLE}.") from error


class _Reader:
    def __init__(self, columns: Collection[str], quoted: list[str]) -> None:
        self._columns = columns
        self._quoted = {f"_quoted_{place}_": name for place, name in enumerate(quoted)}

    def truth(self, node: ast.expr) -> Filter:
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
        if isinstance(node, ast.Name | ast.Attribute | ast.Constant):
            return self.column(ast.unparse(node))
        raise UsageError(
            f"the filter cannot hold “{ast.unparse(node)[:60]}”: it compares columns with values, "
            f"like {EXAMPLE}."
        )

    def column(self, name: str) -> _Term:
        name = self._quoted.get(name, name)
        if name in self._columns:
            return lambda row: row.get(name)
        if name.lower() in _CONSTANTS:
            value = _CONSTANTS[name.lower()]
            return lambda row: value
        raise UsageError(
            f"the filter names “{name[:60]}”, which is no column (a text stands in quotation "
            "marks, a column of an odd name in backticks)"
            f"{nearest(name, self._columns) or '.'}"
        )


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
