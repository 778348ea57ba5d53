"""The report: one file that fetches nothing, tells its story in order, shows names as text."""

from __future__ import annotations

import html
import json
import os
import re
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dashboards import report
from space.errors import StorageError, StudyNotFoundError, UsageError
from storage import Store, open_store
from tests.dashboards.made import reported_benchmark as made
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.shelf import Shelf

FETCHING = ("src", "href", "data", "poster", "srcset", "action", "background", "formaction")


class Page(HTMLParser):
    """What a browser would make of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self.figures: dict[str, Any] = {}
        self.headings: list[str] = []
        self.shown = ""
        self._inside: list[tuple[str, dict[str, str | None]]] = [("", {})]
        self._code = ""
        self._prefixes: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(self.tags[-1])
        self._code = ""
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        self._prefixes += [value or "" for name, value in attrs if name == "data-prefix"]

    def handle_endtag(self, tag: str) -> None:
        found, attributes = self._inside[-1]
        if found == "script" and attributes.get("class") == "figures":
            prefix = self._prefixes[-1]
            self.figures |= {prefix + each["key"]: each for each in json.loads(self._code)}
        elif found == "style":
            self.styles.append(self._code)
        while self._inside.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1][0]
        if inside in ("script", "style"):
            self._code += data
        else:
            self.shown += data
        if inside in ("h1", "h2", "h3"):
            self.headings[-1] += data


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on a confirmed study of 40 trials and a benchmark with missing seeds."""
    with closing(open_store(str(tmp_path_factory.mktemp("told") / "s.db"))) as store:
        add_study(store, "made", 40, confirmed=True)
        made.made_benchmark(
            store,
            {"MLP": {0: 0.3, 1: 0.32, 2: 0.34}, "ConvNet": {0: 0.2, 1: 0.25}, "ResNet": {}},
            reported=made.reported(),
        )
        return report.report(store, ["made"], ["table1"])


@pytest.fixture(scope="module")
def page(told: str) -> Page:
    return Page(told)


def test_the_story_is_told_in_order(page: Page) -> None:
    assert page.headings == [
        "made and table1",
        "In short",
        "made",
        "Best trials",
        "On fresh seeds",
        "What is searched",
        "Failed trials",
        "Where the numbers come from",
        "What a reviewer asks",
        "table1",
        "Tables",
        "Still to run",
        "Where the numbers come from",
        "What a reviewer asks",
        "Words",
    ]
    for words in (
        "Which learning_rate, learning_rate_decay, weight_decay and aux_weight give siamese-aux "
        "the lowest validation error within 25 epochs of training on digits?",
        "On 5 fresh seeds trial",
        "No two configs have the same seeds yet, so none is called the best.",
        "Against MLP, ConvNet is undecided.",
        "5 of 9 runs have a result: 3 configs on the seeds 0-2 of mnist",
        "seeds not yet run: ConvNet: 2; ResNet: 0-2",
        "Test error beside the reported values (Table I)",
        "Train error and validation error beside the reported values (Table I)",
        "python -m search.launch --space space/made.yaml",
        "0123456789ab with uncommitted changes",
        "Abacus 7, 2 CPUs, 8 GiB, GPUs: none",
        "numpy 2.0, torch 2.9",
    ):
        assert words in page.shown


def test_every_panel_is_in_it_with_an_element_of_its_own(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"chapter-1-history", "chapter-2-benchmark-seeds"} <= page.figures.keys()
    (errors,) = page.figures["chapter-2-benchmark-seeds"]["figures"]
    assert errors["data"][0]["x"] == [0.3, 0.32, 0.34, 0.2, 0.25]
    plots = [plot for panel in page.figures.values() for plot in panel["figures"]]
    assert all("template" not in plot["layout"] for plot in plots)


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form")
        for name in FETCHING:
            assert (attributes.get(name) or "#").startswith("#")
    assert not re.search(r"@import|url\(", "".join(page.styles))
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert {word for words in directives.values() for word in words.split()} <= {
        "'none'",
        "'unsafe-inline'",
        "'unsafe-eval'",
        "data:",
        "blob:",
    }


def test_plotly_is_in_it_once(told: str, page: Page) -> None:
    assert told.count("plotly.js v") == 1
    assert told.count("showSendToCloud: false") == 1
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert len([each for each in scripts if "type" not in each]) == 3


def test_hostile_names_are_shown_as_text(store: Store) -> None:
    add_study(store, n_trials=30, hostile=True, confirmed=True)
    benchmark = made.made_benchmark(
        store, {made.HOSTILE: {0: 0.3, 1: 0.2}, f"2 {made.HOSTILE}": {0: 0.2}}
    )
    made.save(store, benchmark.configs, name=HOSTILE, title=HOSTILE, reference=made.HOSTILE)
    page = Page(report.report(store, [HOSTILE], [HOSTILE]))
    assert HOSTILE in page.shown
    assert made.HOSTILE in page.shown
    assert page.headings[0] == HOSTILE
    assert "49" not in page.headings[0]
    tags = {tag for tag, _ in page.tags}
    assert "img" not in tags
    assert "b" not in tags
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    plots = [panel["figures"] for panel in page.figures.values()]
    drawn = json.dumps(plots, ensure_ascii=False)
    assert html.escape(made.HOSTILE, quote=False) in drawn
    assert "<img" not in drawn


def test_a_script_cannot_be_closed_from_a_name(store: Store) -> None:
    name = "</script><script>alert(1)</script><!--"
    made.made_benchmark(store, {name: {0: 0.1, 1: 0.2}, "other": {0: 0.1}})
    text = report.report(store, [], ["table1"])
    assert "<script>alert" not in text
    assert name in Page(text).shown


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_trials": 0},
        {"n_trials": 60, "running": True},
        {"n_trials": 30, "two_objectives": True},
        {"grid": 3},
    ],
)
def test_every_kind_of_study_can_be_reported(shelf: Shelf, arguments: dict[str, Any]) -> None:
    page = Page(report.report(shelf.store(**arguments), ["made"], []))
    assert "Not confirmed" in page.shown
    assert "reported values" not in page.shown
    assert ("No trial has begun yet." in page.shown) == (arguments == {"n_trials": 0})


def test_a_benchmark_that_nobody_has_run(store: Store) -> None:
    made.made_benchmark(store, {"one": {}, "two": {}})
    page = Page(report.report(store, [], ["table1"]))
    assert "No run has finished yet." in page.shown
    assert "No launch is recorded" in page.shown
    assert page.figures == {}


def test_runs_that_failed_say_why(store: Store) -> None:
    config = made.benchmark_config("one")
    made.save(store, [config])
    run = made.begin_run(store, made.begin_launch(store), config, 1, n_epochs=1)
    store.end_run(run.run_id, "failed", "the loss\nwas not finite")
    shown = Page(report.report(store, [], ["table1"])).shown
    assert "Begun, without a result yet" in shown
    assert "1 of 3" in shown
    assert "the loss was not finite" in shown


class TestCommand:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        path = tmp_path / "s.db"
        filled = open_store(str(path))
        made.made_benchmark(filled, {"one": {0: 0.1, 1: 0.2}, "two": {0: 0.2, 1: 0.2}})
        add_study(filled, "made", 3)
        filled.close()
        return f"sqlite:///{path}"

    def test_it_writes_the_file_and_says_which(
        self, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "deep" / "report.html"
        arguments = ["--study", "made", "--benchmark", "table1", "--storage", url]
        for _ in range(2):
            assert report.main([*arguments, "--output", str(output)]) == 0
        assert capsys.readouterr().out == f"{output}\n" * 2
        assert Page(output.read_text(encoding="utf-8")).headings[0] == "made and table1"
        assert os.listdir(output.parent) == ["report.html"]

    def test_what_it_writes_replaces_what_was_there(self, url: str, tmp_path: Path) -> None:
        output = tmp_path / "report.html"
        output.write_text("before")
        report.main(["--benchmark", "table1", "--storage", url, "--output", str(output)])
        assert output.read_text().startswith("<!doctype html>")

    def test_neither_study_nor_benchmark(self, url: str) -> None:
        with pytest.raises(UsageError, match="at least one study or benchmark"):
            report.main(["--storage", url, "--output", "x.html"])

    @pytest.mark.parametrize(
        ("option", "error"), [("--study", StudyNotFoundError), ("--benchmark", UsageError)]
    )
    def test_a_typo_leaves_what_was_there(
        self, url: str, tmp_path: Path, option: str, error: type[Exception]
    ) -> None:
        output = tmp_path / "report.html"
        output.write_text("before")
        names = {"--study": "maed", "--benchmark": "tabel1"}
        with pytest.raises(error, match="did you mean"):
            report.main([option, names[option], "--storage", url, "--output", str(output)])
        assert output.read_text() == "before"

    @pytest.mark.parametrize("place", ["", "file/report.html"])
    def test_where_nothing_can_be_written(self, url: str, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").write_text("in the way")
        before = sorted(os.listdir(tmp_path))
        with pytest.raises(UsageError, match=r"--output .* cannot be written \(.+\); name"):
            report.main(
                ["--benchmark", "table1", "--storage", url, "--output", str(tmp_path / place)]
            )
        assert sorted(os.listdir(tmp_path)) == before

    def test_a_store_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        path = tmp_path / "none.db"
        with pytest.raises(StorageError):
            report.main(["--study", "x", "--storage", f"sqlite:///{path}", "--output", "x.html"])
        assert not path.exists()
