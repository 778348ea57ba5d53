"""What the guide says of backup, restore and upgrade, rehearsed on both databases."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from search.launch.__main__ import main as launch
from space.errors import StorageError
from storage import NewLaunch, Store, open_store
from storage.__main__ import main as storage
from storage.admin.check import check_store
from storage.connect import versions
from storage.leases import process_mark
from storage.submissions import list_submissions, submit, take
from storage.tables import schema
from storage.tables.service import Holder, NewSubmission

from ..postgresql import programs
from ..search.conftest import SPACE, here
from ..search.here import Here
from .image import ROOT

__all__ = ["here"]

FILES = {"space.yaml": "study: mine"}
ARGUMENTS = ["--space", "space.yaml"]
PAGE = (ROOT / "docs" / "guide" / "team.md").read_text()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """An address at which there is no store yet; the working directory is empty."""
    if backend == "sqlite":
        (tmp_path / "results").mkdir()
        yield f"sqlite:///{tmp_path / 'results' / 'search.db'}"
        return
    with request.getfixturevalue("postgresql").database() as found:
        yield found


@pytest.fixture
def carried_out(
    backend: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Carries out what the page says, by the words before it."""
    monkeypatch.chdir(tmp_path)
    needed = "sqlite3" if backend == "sqlite" else "pg_dump"
    binaries = programs()
    path = os.environ["PATH"] if binaries is None else f"{binaries}:{os.environ['PATH']}"
    if shutil.which(needed, path=path) is None:
        pytest.skip(f"{needed}, which the page uses, is not installed")

    def carry_out(what: str) -> None:
        found = re.search(rf"<!-- {what} of {backend} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
        assert found is not None
        environment = {**os.environ, "PATH": path, "DATABASE": url.replace("+psycopg", "")}
        subprocess.run(["sh", "-ec", found[1]], check=True, env=environment)

    return carry_out


def looked(url: str, what: Callable[[Store], Any]) -> Any:
    with closing(open_store(url, look=True)) as store:
        return what(store)


def epochs(store: Store) -> dict[str, int]:
    return {run.uid: run.n_epochs for run in store.runs()}


def test_a_restored_store_is_what_it_was_and_the_same_command_goes_on(
    url: str, carried_out: Callable[[str], None], here: Here, tmp_path: Path
) -> None:
    space = {**SPACE, "training": {"epochs": 3}, "budget": {"trials": 6}}
    (tmp_path / "space.json").write_text(json.dumps(space))
    command = ["--space", "space.json", "--storage", url, "--checkpoints", str(tmp_path / "c")]
    saved: dict[str, int] = {}

    def save() -> None:
        """In the midst of the launch, whose store is in use."""
        carried_out("backup")
        saved.update(looked(url, epochs))

    here.at[7] = save
    assert launch(command) == 0
    assert 0 < sum(saved.values()) < 18
    carried_out("restore")
    assert looked(url, epochs) == saved
    assert looked(url, check_store).findings == []
    # The launch that the backup has as running was another process, which has ended since.
    mark = process_mark(os.getpid())
    assert mark is not None
    gone = " ".join([*mark.split()[:2], "0"])
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(process=gone))
    assert launch(command) == 0
    assert looked(url, check_store).findings == []
    runs = looked(url, lambda store: store.runs())
    assert [(run.state, run.n_epochs) for run in runs] == [("complete", 3)] * 6
    assert set(saved) <= {run.uid for run in runs}


def test_an_installation_is_upgraded_in_the_order_of_the_page(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents first: while a launch writes the schema stays; then what was queued goes on."""
    *_, before, now = known = versions.known_versions()
    mine = NewLaunch(
        study_id=None,
        command="search benchmark",
        config={},
        changes=[],
        git_commit=None,
        git_dirty=None,
        versions={},
        hardware={},
        data_source="digits",
        data_fingerprint="0",
        host=platform.node(),
        pid=os.getpid(),
        process=process_mark(os.getpid()),
    )
    with monkeypatch.context() as old:
        old.setattr(versions, "known_versions", lambda: known[:-1])
        old.setattr(versions, "migrate", partial(versions.migrate, version=before))
        with closing(open_store(url)) as store:
            wanted = NewSubmission(
                submitted_by="ada", name="mine", command="launch", files=FILES, arguments=ARGUMENTS
            )
            assert submit(store, wanted) == 1
            assert store.begin_launch(mine) == 1
    with pytest.raises(StorageError, match=rf"its schema version is {before}, this release's"):
        open_store(url)
    with pytest.raises(StorageError, match=r"launch 1 on .* is still writing to it; stop it"):
        storage(["upgrade", "--storage", url])
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE search_launches SET status = 'interrupted'"))
    engine.dispose()
    assert storage(["upgrade", "--storage", url]) == 0
    with closing(open_store(url)) as store:
        (queued,) = list_submissions(store)
        assert queued.state == "queued"
        holder = Holder(host="here", pid=1, process=None)
        taken = take(store, holder, free=(1, 0), total=(1, 0))
        assert taken is not None
        assert (taken.submission_id, taken.files, taken.arguments) == (1, FILES, ARGUMENTS)
        assert check_store(store).findings == []
    with monkeypatch.context() as old:
        old.setattr(versions, "known_versions", lambda: (before,))
        with pytest.raises(StorageError, match=f"its schema version is {now}, newer than"):
            open_store(url)
