"""What is sent in answer to a request: made once, named, compressed, and not sent twice."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["HTML", "JSON", "Content"]

HTML = "text/html; charset=utf-8"
JSON = "application/json"

_WORTH_COMPRESSING = 1024

# Figures drawn by WebGL compile their shaders, for which plotly needs 'unsafe-eval'; it also sets
# styles in elements. Nothing comes from another host.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What an address shows, however often it is asked for.

    Attributes:
        kind: The content type of the body.
        body: The content.
        compressed: The same, by gzip.
        tag: Names the content: a browser that holds it already is told so, and gets no body.
    """

    kind: str
    body: bytes
    compressed: bytes
    tag: str

    @classmethod
    def of(cls, body: bytes | str, kind: str = HTML, *, tag: str = "") -> Self:
        """Compress and name a content; without a tag, by a hash of the body."""
        body = body.encode() if isinstance(body, str) else body
        compressed = gzip.compress(body, compresslevel=6, mtime=0)
        tag = tag or hashlib.sha256(body).hexdigest()[:20]
        return cls(kind=kind, body=body, compressed=compressed, tag=tag)

    def answer(self, request: Request, status: int = 200) -> Response:
        """Send it as the request would have it: not at all, compressed, or as it is."""
        headers = {"ETag": f'"{self.tag}"', "Vary": "Accept-Encoding"}
        if self.kind == HTML:
            headers["Content-Security-Policy"] = _POLICY
        # A cache or proxy on the way may have marked the tag as a weak one.
        known = request.headers.get("If-None-Match", "").replace("W/", "").split(",")
        if status == 200 and headers["ETag"] in (each.strip() for each in known):
            return Response(status_code=304, headers=headers)
        body = self.body
        accepted = request.headers.get("Accept-Encoding", "")
        if "gzip" in accepted and len(body) > _WORTH_COMPRESSING:
            body, headers["Content-Encoding"] = self.compressed, "gzip"
        return Response(body, status, headers, self.kind)
