"""The store's own clock, by which alone launches are judged: machines disagree about the time.

PostgreSQL's is its server's. SQLite's is that of the machine, which all its processes share: the
memory that its write-ahead log lies in cannot be shared between machines, and containers of one
machine have one clock.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from storage.tables.schema import UtcDateTime

__all__ = ["SecondsSince", "StoreNow"]


class StoreNow(sa.sql.expression.ColumnElement[Any]):
    """The moment the database meets this, in UTC."""

    type = UtcDateTime()
    inherit_cache = True


class SecondsSince(sa.sql.functions.FunctionElement[float]):
    """Seconds from a moment in a column until now."""

    type = sa.Float()
    inherit_cache = True


@compiles(StoreNow, "postgresql")
def _now_of_server(_element: StoreNow, _compiler: Any, **_: Any) -> str:
    return "(clock_timestamp() AT TIME ZONE 'UTC')"


@compiles(StoreNow, "sqlite")
def _now_of_machine(_element: StoreNow, _compiler: Any, **_: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(SecondsSince, "postgresql")
def _since_by_server(element: SecondsSince, compiler: Any, **kwargs: Any) -> str:
    moment = compiler.process(element.clauses, **kwargs)
    return f"CAST(EXTRACT(EPOCH FROM (clock_timestamp() AT TIME ZONE 'UTC') - {moment}) AS FLOAT)"


@compiles(SecondsSince, "sqlite")
def _since_by_machine(element: SecondsSince, compiler: Any, **kwargs: Any) -> str:
    moment = compiler.process(element.clauses, **kwargs)
    return f"((julianday('now') - julianday({moment})) * 86400.0)"
