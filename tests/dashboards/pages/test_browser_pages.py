"""What a reader may do with a figure, what is old, and a phone's screen, in Chromium."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from storage import open_store
from storage.benchmarks import load_benchmarks
from storage.tables.records import CourseRecord, WorkerRecord
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.watched import N_TRIALS, WAIT_MS, Watched, study_path
from tests.dashboards.pages.web import serving

pytestmark = pytest.mark.browser


def hostile(watched: Watched) -> list[str]:
    """The addresses of the study and the benchmark of that name."""
    watched.open("/")
    links = watched.page.get_by_role("link", name=HOSTILE, exact=True)
    return [link.get_attribute("href") or "" for link in links.all()]


def test_a_figure_is_printed_switched_read_and_saved(watched: Watched) -> None:
    page = watched.page
    watched.open(study_path(watched, "seen"))
    watched.draw_all()
    shown = """[...document.querySelectorAll('#history .scatterlayer path.point')]
        .filter((point) => point.checkVisibility()).length"""
    on_screen = page.evaluate(shown)
    assert on_screen >= N_TRIALS
    page.emulate_media(media="print")
    assert page.evaluate(shown) == on_screen
    page.emulate_media(media="screen")
    panel = page.locator("#learning-curves")

    def drawn() -> Any:
        watched.draw_all()
        return page.evaluate(
            """() => {
                const plot = document.querySelector('#learning-curves .plot');
                const line = plot.data.find((trace) => trace.mode === 'lines');
                return [plot.layout.yaxis.type ?? 'linear', line.y];
            }"""
        )

    before = drawn()
    log = panel.get_by_role("button", name="log axis")
    log.focus()
    page.keyboard.press("Enter")
    expect(log).to_have_attribute("aria-pressed", "true")
    assert drawn() == ["log", before[1]]
    panel.get_by_role("button", name="smooth").click()
    smooth = drawn()[1]
    # The first value of a line stays, the second moves 70 % of the way back to it.
    assert smooth[0] == before[1][0]
    assert smooth[1] == pytest.approx(0.7 * before[1][0] + 0.3 * before[1][1])
    page.locator("#history summary").click()
    rows = page.locator("#history .reading tr")
    expect(rows.nth(N_TRIALS - 1)).to_be_attached()
    expect(rows.filter(has_text="trial 0 ").first.get_by_role("link")).to_have_attribute(
        "href", f"{urlsplit(page.url).path}/trial/0"
    )
    for kind, begin in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as saved:
            page.locator("#history").get_by_role("button", name=kind, exact=True).click()
        assert saved.value.suggested_filename == f"history.{kind.lower()}"
        assert Path(saved.value.path()).read_bytes().startswith(begin)


def test_plots_stand_in_rows_as_even_as_they_go(watched: Watched) -> None:
    watched.open(study_path(watched, "seen"))
    columns = watched.page.evaluate(
        """() => [1, 2, 4, 5, 7, 9].map((n) => {
            const entry = {plots: Array(n), box: document.createElement('div')};
            Figures.prototype.arrange(entry, 4);
            return Number(entry.box.style.getPropertyValue('--columns'));
        })"""
    )
    assert columns == [1, 2, 4, 3, 4, 3]


def test_what_a_stopped_server_said_is_shown_as_old(browser: Browser, searched: str) -> None:
    context = browser.new_context()
    context.set_default_timeout(WAIT_MS)
    with serving(searched) as server:
        seen = Watched(context.new_page(), server.address)
        seen.open("/")
        expect(seen.page.locator("#as-of")).to_contain_text("as of ")
        assert "stale" not in (seen.page.locator("#content").get_attribute("class") or "")
        server.stop()
        seen.page.evaluate("followers[0].refresh()")
        expect(seen.page.locator("#state")).to_contain_text("does not answer; this is what it said")
        assert seen.page.locator("#content.stale").count() == 1
        # Nobody can scroll past it.
        seen.page.mouse.wheel(0, 100_000)
        expect(seen.page.locator("#state")).to_be_in_viewport(ratio=1)
    context.close()


def test_on_a_phone_tables_move_in_their_box_and_targets_are_large(watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": 390, "height": 844})
    watched.open(hostile(watched)[0])
    watched.draw_all()
    rows = page.evaluate(
        """[...document.querySelectorAll('.sheet tbody tr')].map(
            (row) => row.getBoundingClientRect().height)"""
    )
    assert rows
    assert max(rows) < 200
    first = page.locator("#details .sheet:has(table)").first
    moved = first.evaluate(
        """(sheet) => {
            sheet.scrollLeft = 1e4;
            const left = sheet.getBoundingClientRect().left;
            const cell = sheet.querySelector('tbody th').getBoundingClientRect().left;
            return [sheet.scrollLeft, cell - left];
        }"""
    )
    assert moved[0] > 0
    assert 0 <= moved[1] < 24
    small = page.evaluate(
        """[...document.querySelectorAll('button, summary, nav a')]
            .filter((each) => each.checkVisibility())
            .filter((each) => each.getBoundingClientRect().height < 24)
            .map((each) => each.outerHTML)"""
    )
    assert small == []


QUESTIONS = {
    "overview": (
        ("what runs, what has ended?", "tbody th"),
        ("what came out of it?", "tbody .verdict"),
        ("how far is it?", "tbody td[data-label=progress]"),
    ),
    "study": (
        ("is it better than what I had?", ".verdict"),
        ("on what does that rest?", ".aside"),
        ("how far is it?", "#lead .lead:has-text('6 of 6 trials')"),
    ),
    "running study": (
        ("what is trained now?", "#now tbody a"),
        ("when does it end?", "#now .lead"),
        ("how do I stop it?", "#now .links a"),
    ),
    "benchmark": (
        ("which config is better?", ".verdict"),
        ("is that certain?", ".verdict .badge"),
        ("against what, on how many seeds?", "#lead .lead"),
    ),
    "trial": (
        ("what did it reach?", ".tile"),
        ("why did it end?", ".question"),
        ("what is different from the baseline?", "h2:has-text('different from') + .sheet tbody tr"),
    ),
    "run": (
        ("what is it a run of?", "#summary .lead a"),
        ("how did it end?", ".question"),
        ("what was measured?", ".tile"),
    ),
    "comparison": (
        ("what is compared?", "#summary .lead"),
        ("which is better?", ".sheet"),
        ("what is different?", ".sheet:has-text('setting') tbody tr"),
    ),
    "queue": (
        ("what waits, what runs?", "#content .empty, #content tbody tr"),
        ("how do I start something?", "details.start summary"),
        ("in whose name?", ".problem, .note"),
    ),
    "table": (
        ("how many are there?", ".lead"),
        ("how do I find some of them?", "input[name=where]"),
        ("what does one say?", ".rows tbody tr"),
    ),
}
"""What a stranger should see within half a minute, and the element that has the answer."""


@pytest.fixture(scope="module")
def addresses(searched: str) -> dict[str, str]:
    """Each kind of page -> where there is one; a study that is being trained is made for it."""
    with closing(open_store(searched)) as store:
        seen = f"/study/{store.study_id('seen')}"
        running = add_study(store, "under way", 20, running=True)
        runs = [run.run_id for run in store.runs(running, state="running")]
        workers = [WorkerRecord(name=f"host {each}", runs=(each,), silence=1) for each in runs]
        course = CourseRecord(
            purpose="search",
            n_epochs=100,
            seconds=50,
            seconds_left=600,
            n_planned=None,
            workers=tuple(workers),
            lines=("trial 19 starts",),
            warnings=(),
        )
        assert store.beat(store.launches(running)[-1].launch_id, course)
        return {
            "overview": "/",
            "study": seen,
            "running study": f"/study/{running}",
            "benchmark": f"/benchmark/{load_benchmarks(store)[0].benchmark_id}",
            "trial": f"{seen}/trial/1",
            "run": f"/run/{store.runs()[0].run_id}",
            "comparison": f"{seen}/compare?trial=0&trial=1",
            "queue": "/queue",
            "table": f"{seen}/trials",
        }


@pytest.mark.parametrize("kind", QUESTIONS)
def test_three_questions_are_answered_without_scrolling(
    watched: Watched, addresses: dict[str, str], kind: str
) -> None:
    page = watched.page
    for width, height in ((1400, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(watched.home + addresses[kind])
        if kind != "table":
            expect(page.locator("#content[data-version]")).to_be_attached(timeout=WAIT_MS)
        for question, where in QUESTIONS[kind]:
            answer = page.locator(f"main :is({where})").first
            expect(answer).to_be_visible()
            box = answer.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height, question


def test_the_questions_of_each_page_are_those_of_its_guide() -> None:
    guide = (Path(__file__).parents[3] / "docs/guide/dashboards.md").read_text()
    for kind, questions in QUESTIONS.items():
        asked = "; ".join(question for question, _ in questions)
        assert f"| {kind} | {asked} |" in guide
