"""Answers to requests, compressed and revalidated: the little of HTTP that our pages need."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["HTML", "JSON", "TEXT", "Response", "answer", "plain"]

HTML = "text/html; charset=utf-8"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

_WORTH_COMPRESSING = 1024


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answer.

    Attributes:
        status: HTTP's.
        kind: The content type of the body.
        body: The content.
        compressed: The same, by gzip; made once where an answer is given many times.
        tag: Names the content: a browser that holds it already is told so, and gets no body.
        headers: Further headers.
    """

    status: HTTPStatus = HTTPStatus.OK
    kind: str = HTML
    body: bytes = b""
    compressed: bytes | None = None
    tag: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def fixed(cls, body: bytes, kind: str, *, tag: str | None = None) -> Self:
        """An answer that is given many times: compressed once, named by its content."""
        return cls(
            kind=kind,
            body=body,
            compressed=gzip.compress(body, compresslevel=6, mtime=0),
            tag=tag or hashlib.sha256(body).hexdigest()[:20],
        )


def plain(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
    """An answer of one sentence."""
    return Response(status=status, kind=TEXT, body=f"{text}\n".encode(), headers=headers)


def answer(
    response: Response, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Send an answer as the request would have it: not at all, compressed, or as it is."""
    headers = [("Content-Type", response.kind), *response.headers]
    # Kept by the browser, but never shown without asking whether it is still the same.
    headers.append(("Cache-Control", "private, no-cache"))
    if response.tag is not None:
        quoted = f'"{response.tag}"'
        headers.append(("ETag", quoted))
        # A cache or proxy on the way may have marked the tag as a weak one.
        known = environ.get("HTTP_IF_NONE_MATCH", "").replace("W/", "").split(",")
        if quoted in (each.strip() for each in known):
            start_response("304 Not Modified", headers)
            return []
    body = response.body
    if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "") and len(body) > _WORTH_COMPRESSING:
        body = response.compressed or gzip.compress(body, compresslevel=3, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    headers += [("Vary", "Accept-Encoding"), ("Content-Length", str(len(body)))]
    start_response(f"{response.status.value} {response.status.phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
