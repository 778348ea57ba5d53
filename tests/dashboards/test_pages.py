"""What pages say: numbers, times, commands."""

from __future__ import annotations

import datetime
import shlex

import optuna
import pytest

from dashboards.pages.cache import Cache
from dashboards.pages.responses import JSON, Response
from dashboards.pages.study_page import study_document
from dashboards.pages.words import (
    as_command,
    duration,
    number,
    storage_option,
    time_element,
    values,
)
from storage import Store, schema
from tests.dashboards.bulk_rows import HOSTILE, begin_launch
from tests.dashboards.bulk_study import add_study


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.123456, "0.1235"),
        (83160.0, "83,160"),
        (12345, "12,345"),
        (0.0, "0"),
        (-2.0, "-2"),
        (1e-7, "1e-07"),
        (float("inf"), "not finite"),
        (float("nan"), "not finite"),
        (True, "True"),
        ("<b>", "<b>"),
    ],
)
def test_numbers(value: object, shown: str) -> None:
    assert number(value) == shown


def test_several_values() -> None:
    assert values([0.5, 1200.0]) == "0.5 / 1,200"
    assert values([]) == "–"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (12.34, "12.3 s"),
        (60, "1 min"),
        (320, "5 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (200_000, "2 d 7 h"),
        (172_800, "2 d"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_times() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    shown = time_element(datetime.datetime(2030, 1, 1, 1, 30, tzinfo=east))
    assert shown == {"iso": "2029-12-31T23:30:00+00:00", "text": "2029-12-31 23:30 UTC"}
    assert time_element(None) is None


def test_a_commands_store_is_named_again() -> None:
    assert storage_option("x -m y --storage 'a b.db' --z") == ("--storage", "a b.db")
    assert storage_option("x --storage=s.db") == ("--storage", "s.db")
    for command in ("x -m y", "x --storage", "x 'unbalanced"):
        assert storage_option(command) == ()
    assert shlex.split(as_command("a", HOSTILE, "b c")) == ["a", HOSTILE, "b c"]


def test_the_commands_of_a_study_can_be_pasted(store: Store) -> None:
    study = optuna.create_study(study_name=f"a/b {HOSTILE}", storage=store.optuna_storage)
    command = "python -m search.launch --space s.yaml --storage 'my store.db'"
    begin_launch(store, study._study_id, command=command)
    study.tell(study.ask(), 0.5)
    text = study_document(store, study.study_name).details
    assert "--storage &#39;my store.db&#39;" in text
    assert f"--output {study._study_id}.yaml" in text


def test_a_launch_that_was_killed_is_not_called_running(store: Store) -> None:
    study_id = add_study(store, "made", 6)
    begin_launch(store, study_id)
    document = study_document(store, "made")
    assert document.is_running
    assert ">running</span>" in document.summary
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    with store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(heartbeat_at=long_ago))
    document = study_document(store, "made")
    assert not document.is_running
    assert ">died</span>" in document.summary


def test_the_cache_keeps_what_is_the_same_and_forgets_the_oldest() -> None:
    made: list[str] = []
    cache = Cache(2)

    def ask(address: str, version: str) -> bytes:
        def make() -> Response:
            made.append(address + version)
            return Response.fixed(f"{address}{version}".encode(), JSON, tag=version)

        return cache.get(address, version, make).body

    assert [ask("a", "1"), ask("a", "1"), ask("b", "1")] == [b"a1", b"a1", b"b1"]
    assert made == ["a1", "b1"]
    assert ask("a", "2") == b"a2"
    ask("c", "1")
    assert made == ["a1", "b1", "a2", "c1"]
    ask("b", "1")
    assert made[-1] == "b1"
    ask("c", "1")
    assert len(made) == 5
