"""Inserts that know what to do where there is a row already; each is built once, since epochs are
many."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_new", "upsert"]


def insert_new(connection: sa.Connection, table: sa.Table) -> sa.Insert:
    """An insert that leaves a row with the same key as it is."""
    return _insert_new(connection.dialect.name, table)


def upsert(connection: sa.Connection, table: sa.Table, *key: str) -> sa.Insert:
    """An insert of whole rows that overwrites what lies under the same key."""
    return _upsert(connection.dialect.name, table, key)


def _insert(dialect: str, table: sa.Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


@cache
def _insert_new(dialect: str, table: sa.Table) -> sa.Insert:
    new: sa.Insert = _insert(dialect, table).on_conflict_do_nothing()
    return new


@cache
def _upsert(dialect: str, table: sa.Table, key: tuple[str, ...]) -> sa.Insert:
    insert = _insert(dialect, table)
    said = {
        column.name: insert.excluded[column.name]
        for column in table.columns
        if column.name not in key and not column.primary_key
    }
    over: sa.Insert = insert.on_conflict_do_update(index_elements=list(key), set_=said)
    return over
