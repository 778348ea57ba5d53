"""Tokens, over the API: admins make, list and revoke them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from search.serve.answers import Json, Problem
from search.serve.bodies import NewToken
from search.serve.stores import Stores
from space.amounts import parse_duration
from space.errors import UsageError
from storage.tokens import create_token, list_tokens, revoke_token

__all__ = ["tokens"]


def tokens(stores: Stores) -> APIRouter:
    """The addresses below ``/tokens``."""
    router = APIRouter(tags=["tokens"])

    @router.get("/tokens")
    def listed() -> Json:
        """All tokens, without what they are known by."""
        return Json([each.as_json() for each in list_tokens(stores.reading)])

    @router.post("/tokens", status_code=201)
    def create(request: Request, body: NewToken) -> Json:
        """Make a token, which is told this once."""
        seconds = None if body.expires is None else parse_duration(body.expires)
        token = create_token(
            stores.writing,
            body.name,
            body.role,
            asked_by=request.state.token.asker,
            seconds=seconds,
        )
        return Json({"name": body.name, "role": body.role, "token": token}, 201)

    @router.delete("/tokens/{name}")
    def revoke(request: Request, name: str) -> Json:
        """Refuse a token from now on."""
        try:
            revoke_token(stores.writing, name, asked_by=request.state.token.asker)
        except UsageError as error:
            raise Problem(404, str(error)) from error
        return Json({"name": name, "state": "revoked"})

    return router
