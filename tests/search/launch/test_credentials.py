"""A store's password is nowhere but in the environment: not printed, stored or exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import ray
import sqlalchemy as sa

from dashboards.publish import main as publish
from dashboards.report import main as report
from search.benchmark.__main__ import main as benchmark
from search.export.__main__ import main as export
from search.launch.__main__ import main as launch
from space.errors import StorageError
from storage import open_store
from storage.__main__ import main as storage

from ...postgresql import PASSWORD, PostgresqlServer
from ..here import train_here

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
ROOT = Path(__file__).resolve().parents[3]
SECRET = PASSWORD.partition(":")[0]
"""Nothing escapes it, in a URL or elsewhere."""

SPACE = {
    "study": "guarded",
    "trainable": "closed-form",
    "training": {"epochs": 2},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
    "budget": {"trials": 3},
    "confirm": {"top": 1, "seeds": 2},
}

CONFIG = """
name: guarded
configs:
  - name: one
    model: {name: mlp, width: 4}
    data: {source: digits, n_train_pairs: 100, n_test_pairs: 100}
    training: {epochs: 2}
"""


def in_the_store(url: str) -> str:
    """Every row of every table."""
    with closing(open_store(url, create=False)) as store, store.engine.connect() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        rows = [connection.execute(sa.select(table)).all() for table in tables.sorted_tables]
    return repr(rows)


def test_the_password_stays_where_it_is(
    postgresql: PostgresqlServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    one_ray: Path,
) -> None:
    with postgresql.database() as open_url:
        url = postgresql.guarded_url(sa.make_url(open_url).database or "")
        monkeypatch.setenv("SEARCH_STORAGE", url)
        space, config = tmp_path / "space.json", tmp_path / "config.yaml"
        space.write_text(json.dumps(SPACE))
        config.write_text(CONFIG)
        launched = subprocess.run(
            [
                *(sys.executable, "-m", "search.launch", "-v", "--space", str(space)),
                *("--checkpoints", str(tmp_path / "checkpoints")),
                *("--ray-address", ray.get_runtime_context().gcs_address),
            ],
            cwd=ROOT,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert launched.returncode == 0, launched.stderr
        train_here(monkeypatch, tmp_path)
        commands: list[tuple[Callable[[list[str]], int], str]] = [
            (export, f"--study guarded --output {tmp_path / 'best.yaml'}"),
            (benchmark, f"--config {config} --seeds 1 --checkpoints {tmp_path / 'checkpoints'}"),
            (publish, "--study guarded"),
            (report, f"--study guarded --output {tmp_path / 'report.html'}"),
            (storage, "list"),
            (storage, "show guarded"),
            (storage, "check"),
            (storage, "upgrade"),
            (storage, f"copy --from {url} --to {tmp_path / 'copy.db'}"),
        ]
        for command, arguments in commands:
            assert command(arguments.split()) == 0, arguments
        said = "".join(capfd.readouterr()) + launched.stdout + launched.stderr
        assert f"guarded:***@127.0.0.1:{postgresql.port}" in said
        assert SECRET not in said
        kept = in_the_store(url)
        assert "val_error" in kept
        assert SECRET not in kept
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {"best.yaml", "report.html", "copy.db"} <= {path.name for path in files}
        for path in files:
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_wrong_password_is_one_sentence_without_it(
    postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", postgresql.guarded_url(password=f"{SECRET}-wrong"))
    space = tmp_path / "space.json"
    space.write_text(json.dumps(SPACE))
    for command in (lambda: launch(["--space", str(space)]), lambda: storage(["list"])):
        with pytest.raises(StorageError) as caught:
            command()
        sentence = str(caught.value)
        assert sentence.startswith(
            f"storage postgresql+psycopg://guarded:***@127.0.0.1:{postgresql.port}/postgres: "
        )
        assert 'password authentication failed for user "guarded"' in sentence
        assert "\n" not in sentence
        assert SECRET not in sentence
