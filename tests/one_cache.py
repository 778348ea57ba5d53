"""What SQLAlchemy compiles for one store serves all others: tests open thousands of them.

An engine keeps what it has compiled to itself, and to compile what a small search asks of its store
takes longer than the search.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

__all__ = ["share_statements"]


class _Statements(dict[tuple[Any, ...], Any]):
    """Statements by all that their text depends on: of the dialect, which database it is of."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        dialect, *statement = key
        return super().get((dialect.name, *statement), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        dialect, *statement = key
        super().__setitem__((dialect.name, *statement), compiled)


def share_statements() -> None:
    """Let every engine of this process share what is compiled."""
    statements = _Statements()
    sa.event.listen(
        sa.Engine,
        "engine_connect",
        lambda connection: connection.execution_options(compiled_cache=statements),
    )
