"""An API over a store, asked without a network, with a token of each role."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

import pytest

from dashboards.pages.guard import API, Guard
from dashboards.pages.site import Site
from search.serve.app import make_api
from storage import Store, open_store
from storage.leases import LEASE_SECONDS
from storage.tables.schema import launches
from storage.tables.service import ROLES
from storage.tokens import create_token
from tests.dashboards.pages.web import Answer, request
from tests.search.conftest import SPACE

FOUR: dict[str, Any] = {**SPACE, "training": {"epochs": 4}, "budget": {"trials": 4}}
METRICS = {"val_error": 0.2, "val_loss": 0.3, "train_loss": 0.1, "train_error": 0.1}


@dataclass
class Api:
    """A server's application over a store, and who may ask it.

    Attributes:
        store: The store.
        tokens: Role -> a token.
        rate: Requests a second for each token.
    """

    store: Store
    tokens: dict[str, str]
    rate: float = 1000.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Serve anew, with nothing in memory but what the store has."""
        self._url = self.store.url.render_as_string(hide_password=False)
        self.looking = open_store(self._url, create=False, look=True)
        self.app = Guard(Site(self.looking), None, make_api(self.looking, rate=self.rate))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "editor",
        token: str | None = None,
        key: str | None = None,
        **headers: str,
    ) -> Answer:
        """One request, with a body as JSON."""
        sent = {"Content-Type": "application/json", **headers}
        sent.setdefault("Authorization", f"Bearer {token or self.tokens[role]}")
        if key is not None:
            sent["Idempotency-Key"] = key
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        return request(self.app, f"{API}{path}", method=method, headers=sent, body=raw)

    def get(self, path: str) -> Any:
        """What a reader reads."""
        answer = self.ask("GET", path, role="reader")
        assert answer.status == 200, answer.text
        return answer.json()

    def done(self, path: str, body: Any = None, key: str | None = None) -> Any:
        """What an editor's request is answered that is done."""
        answer = self.ask("POST", path, body, key=key)
        assert answer.status in (200, 201), answer.text
        return answer.json()

    def refused(self, path: str, body: Any = None, key: str | None = None) -> tuple[int, str]:
        """The status and the sentence of one that is not."""
        answer = self.ask("POST", path, body, key=key)
        return answer.status, answer.json()["error"]

    def begin(self, space: dict[str, Any] | None = None) -> int:
        """A client's launch."""
        return int(self.done("/launches", {"space": space or FOUR})["launch"])

    def finish(self, launch: int, trial: dict[str, Any], value: float = 0.2) -> str:
        """Report all the epochs of a trial that are not known, and tell it."""
        path = f"/launches/{launch}/trials/{trial['number']}"
        for epoch in range(trial["runs"][0]["known"] + 1, trial["epochs"] + 1):
            body = {"epoch": epoch, "metrics": {**METRICS, "val_error": value}}
            assert self.done(f"{path}/report", body)["goes_on"] == (epoch < trial["epochs"])
        return str(self.done(f"{path}/tell", {})["state"])


def silence(store: Store, launch: int) -> None:
    """Let a launch have been silent for longer than its lease."""
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=2 * LEASE_SECONDS)
    own = launches.c.launch_id == launch
    update = launches.update().where(own).values(heartbeat_at=past)
    store.transaction(lambda connection: connection.execute(update))


@pytest.fixture
def api(store: Store) -> Api:
    """The API over an empty store."""
    tokens = {role: create_token(store, role, role, asked_by="test") for role in ROLES}
    return Api(store, tokens)
