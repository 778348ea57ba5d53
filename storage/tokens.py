"""Tokens, by which programs use the HTTP API: what each allows, who made it, until when.

A token is 256 random bits, which nobody can guess; so the store keeps a plain SHA-256 of it, and
the token itself nowhere. A slow hash protects what people think of, which can be guessed. Whoever
asks with a token is looked up in the store each time, so that one that is revoked is refused at
once.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets

import sqlalchemy as sa

from space.errors import UsageError, nearest
from storage.actions import Answer, act
from storage.store import Store
from storage.tables import schema
from storage.tables.clock import SecondsSince, StoreNow
from storage.tables.service import NewAction, TokenRecord

__all__ = ["create_token", "find_token", "list_tokens", "revoke_token"]

_N_BYTES = 32
_PREFIX = "search_"
"""What programs that look for secrets in files know a token by."""
_TABLE = schema.tokens
_COLUMNS = [column for column in _TABLE.c if column.name != "hash"]
_OVERDUE = SecondsSince(_TABLE.c.expires_at).label("overdue")
_QUERY = sa.select(*_COLUMNS, _OVERDUE).order_by(_TABLE.c.created_at, _TABLE.c.name)


def create_token(
    store: Store, name: str, role: str, *, asked_by: str, seconds: float | None = None
) -> str:
    """Make a token.

    Args:
        store: The store.
        name: What it is to be called.
        role: One of `ROLES`.
        asked_by: Who makes it.
        seconds: For how long it is good; None: until it is revoked.

    Returns:
        The token, which is told this once.

    Raises:
        UsageError: If there is one of the name, be it revoked.
        StorageError: If the database fails.
    """
    token = f"{_PREFIX}{secrets.token_urlsafe(_N_BYTES)}"

    def work(connection: sa.Connection) -> Answer:
        if connection.execute(sa.select(_TABLE.c.name).where(_TABLE.c.name == name)).first():
            raise UsageError(
                f"there is a token '{name}', or was; choose another name: what it did is told by it"
            )
        now = connection.execute(sa.select(StoreNow())).scalar_one()
        expires = None if seconds is None else now + datetime.timedelta(seconds=seconds)
        values = {"name": name, "role": role, "hash": _hash(token), "created_at": now}
        values |= {"created_by": asked_by, "expires_at": expires}
        connection.execute(_TABLE.insert().values(values))
        return Answer("done", f"token '{name}' may do what the role {role} may")

    action = NewAction(verb="create-token", asked_by=asked_by, detail={"name": name, "role": role})
    act(store, action, work)
    return token


def revoke_token(store: Store, name: str, *, asked_by: str) -> None:
    """Refuse a token from now on; one that is revoked stays so.

    Raises:
        UsageError: If there is none of the name.
        StorageError: If the database fails.
    """

    def work(connection: sa.Connection) -> Answer:
        names = list(connection.execute(sa.select(_TABLE.c.name)).scalars())
        if name not in names:
            raise UsageError(f"there is no token '{name}'{nearest(name, names)}")
        own = (_TABLE.c.name == name) & _TABLE.c.revoked_at.is_(None)
        connection.execute(_TABLE.update().where(own).values(revoked_at=StoreNow()))
        return Answer("done", f"token '{name}' is refused from now on")

    act(store, NewAction(verb="revoke-token", asked_by=asked_by, detail={"name": name}), work)


def list_tokens(store: Store) -> list[TokenRecord]:
    """All tokens, oldest first, those that are good no more among them."""
    return [TokenRecord(**row) for row in store.rows(_QUERY)]


def find_token(store: Store, token: str) -> TokenRecord | None:
    """The token that somebody brings.

    Args:
        store: The store.
        token: What was brought, whatever it is.

    Returns:
        It, if it is good now. How long the search takes tells nothing of any token: it is by hash,
        and whoever guesses cannot choose a hash's beginning. The hashes are compared in constant
        time.
    """
    wanted = _hash(token)
    query = sa.select(*_QUERY.selected_columns, _TABLE.c.hash).where(_TABLE.c.hash == wanted)
    for row in store.rows(query):
        if hmac.compare_digest(row.pop("hash"), wanted):
            found = TokenRecord(**row)
            return found if found.state == "active" else None
    return None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
