"""The service of a team from its image to its end, with a submission run in between."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from storage import open_store
from storage.submissions import list_submissions

from ..postgresql import PostgresqlServer
from .image import Image, read_services
from .services import service_up, wait_for

__all__ = ["GIVEN", "rehearse"]

GIVEN = {
    "SEARCH_DATABASE_PASSWORD": "a1b2c3d4",
    "SEARCH_DASHBOARD_PASSWORD": "e5f6g7h8",
    "SEARCH_HOST": "search.example.org",
}
SPACE = {
    "study": "queued",
    "trainable": "closed-form",
    "training": {"epochs": 2},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
    "budget": {"trials": 2},
}


def rehearse(image: Image, postgresql: PostgresqlServer, folder: Path) -> None:
    """Bring the service up, submit a search, see it run and on a page, stop everything.

    Args:
        image: What its services are made of; it is built.
        postgresql: The server that stands in for the database's.
        folder: Where the search-space file is put.

    Raises:
        AssertionError: If anything is not as it should be.
    """
    password = GIVEN["SEARCH_DATABASE_PASSWORD"]
    (folder / "space.json").write_text(json.dumps(SPACE))
    with (
        postgresql.owned("search", password) as address,
        service_up(image, read_services(GIVEN), address) as running,
    ):
        url = f"postgresql+psycopg://search:{password}@{address}/search"
        running.run(f"submit --space {folder / 'space.json'}")

        def has_ended() -> bool:
            with closing(open_store(url, look=True)) as store:
                (submission,) = list_submissions(store)
            return submission.state not in ("queued", "running")

        wait_for("the submission", running.processes["agent"], has_ended)
        with closing(open_store(url, look=True)) as store:
            (submission,) = list_submissions(store)
            assert (submission.state, submission.reason) == ("done", None)
            assert len(store.runs(store.study_id("queued"))) == 2
        page = running.get("/data/study/1")
        assert page is not None
        assert "learning_rate" in page
        assert running.down() == {"server": 0, "agent": 0}
    files = list((image.root / "var/lib/search").rglob("*"))
    assert [path.name for path in files if path.is_file()] == []  # All of it is in the database.
