"""What pages say: numbers, times, commands."""

from __future__ import annotations

import datetime
import html
import re
import shlex
from pathlib import Path

import optuna
import pytest

import dashboards
from dashboards.numbers.study.view import read_study
from dashboards.pages import addresses
from dashboards.pages.documents import Document, static
from dashboards.pages.latest import Latest
from dashboards.pages.site import Site
from dashboards.pages.study_page import study_document
from dashboards.story import confirmation_caveats
from space.words import duration, number
from storage import Store
from storage.commands.command_line import command_line
from storage.tables import schema
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.web import request
from tests.records import begin_launch


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.123456, "0.1235"),
        (83160.0, "83,160"),
        (12345, "12,345"),
        (0.0, "0"),
        (-2.0, "-2"),
        (1e-7, "1e-07"),
        (float("inf"), "not finite"),
        (float("nan"), "not finite"),
        (True, "true"),
        ("<b>", "<b>"),
    ],
)
def test_numbers(value: object, shown: str) -> None:
    assert number(value) == shown


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


def shown_commands(document: Document) -> list[list[str]]:
    """The words of every command that a page has in a box of its own."""
    boxes = re.findall(
        r"<pre[^>]*><code>(.*?)</code>", document.lead + document.summary + document.details, re.S
    )
    return [shlex.split(html.unescape(box)) for box in boxes]


def test_the_commands_of_a_study_can_be_pasted(store: Store) -> None:
    name = f"a/b {HOSTILE}"
    study = optuna.create_study(study_name=name, storage=store.optuna_storage)
    command = "python -m search.launch --space s.yaml --storage elsewhere.db"
    begin_launch(store, study._study_id, command=command)
    study.tell(study.ask(), 0.5)
    onward, export, benchmark, report, publish = shown_commands(study_document(store, name))
    python = shlex.split(command_line("search.export", []))[0]
    output = f"{study._study_id}.yaml"
    shown = ["--storage", store.name]
    assert onward == ["python", "-m", "search.launch", "--space", "s.yaml", *shown]
    begin = [python, "-m", "search.export", "--study", name]
    assert export == [*begin, *shown, "--output", output]
    assert benchmark[:5] == [python, "-m", "search.benchmark", "--config", output]
    assert report[0] == publish[0] == python


@pytest.mark.parametrize(
    ("budget", "grid", "status", "shown"),
    [
        ({"trials": 21}, 0, "done", ["--trials", "42"]),
        ({"trials": 21}, 0, "interrupted", ["--trials", "21"]),
        ({"time_limit": 60}, 0, "done", None),
        ({"trials": 19}, 1, "done", ["--trials", "38"]),
        ({"trials": 20}, 1, "done", None),  # every point of the grid
    ],
)
def test_a_study_whose_budget_is_spent_is_not_offered_the_same_command(
    store: Store, budget: dict[str, int], grid: int, status: str, shown: list[str] | None
) -> None:
    study_id = add_study(store, "made", 6, grid=grid)
    config = {**store.launches(study_id)[-1].config, "budget": budget}
    command = "python -m search.launch --space s.yaml --trials 21"
    store.end_launch(begin_launch(store, study_id, config=config, command=command), status)
    found = [
        words
        for words in shown_commands(study_document(store, "made"))
        if "search.launch" in words and "--confirm" not in words
    ]
    if shown is None:
        assert not found
    else:
        begin = ["python", "-m", "search.launch", "--space", "s.yaml"]
        assert [sorted(words) for words in found] == [
            sorted([*begin, *shown, "--storage", store.name])
        ]


def test_a_launch_that_was_killed_is_not_called_running(store: Store) -> None:
    study_id = add_study(store, "made", 6)
    begin_launch(store, study_id)
    document = study_document(store, "made")
    assert document.is_running
    assert ">running</span>" in document.lead
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    with store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(heartbeat_at=long_ago))
    document = study_document(store, "made")
    assert not document.is_running
    assert ">its launch stopped answering</span>" in document.lead


def test_an_answer_is_kept_while_it_is_the_same_and_the_oldest_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def describe(store: Store, name: str) -> Document:
        made.append(name)
        return study_document(store, name)

    monkeypatch.setattr(addresses, "study_document", describe)
    monkeypatch.setattr(Latest, "SIZE", 1)
    ids = {name: add_study(store, name, 2) for name in "ab"}
    app = Site(store)

    def ask(name: str) -> None:
        assert request(app, f"/data/study/{ids[name]}").status == 200

    ask("a")
    ask("a")
    assert made == ["a"]
    study = optuna.load_study(study_name="a", storage=store.optuna_storage)
    study.tell(study.ask(), 0.5)
    ask("a")
    ask("b")
    ask("b")
    assert made == ["a", "a", "b"]
    ask("a")
    assert made == ["a", "a", "b", "a"]


def test_a_study_page_says_whose_numbers_are_optimistic(store: Store) -> None:
    add_study(store, "made", 40, confirmed=True)
    found = read_study(store, "made").confirmation
    assert found is not None
    document = study_document(store, "made")
    summary = html.unescape(document.summary)
    assert " ".join(confirmation_caveats(found)) in summary
    assert f"chosen among {len(found.trials)} trials by these very seeds" in summary
    assert "The validation error is optimistic: it is the lowest of all epochs" in document.details


def test_every_rule_of_the_style_is_of_something_on_a_page() -> None:
    written = "".join(
        path.read_text()
        for kind in ("*.html", "*.py", "*.js")
        for path in Path(dashboards.__file__).parent.rglob(kind)
    )
    style = re.sub(r"/\*.*?\*/", "", static("style.css"), flags=re.DOTALL)
    selectors = " ".join(re.findall(r"([^{}]+)\{", style))
    names = set(re.findall(r"[.#]([a-zA-Z][\w-]*)", selectors))
    assert {"sheet", "panel"} <= names
    ours = {each for each in names if not each.startswith("modebar-")}  # The others are plotly's.
    assert {each for each in ours if not re.search(rf"\b{re.escape(each)}\b", written)} == set()
