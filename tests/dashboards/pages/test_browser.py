"""What a person sees: the pages in a real Chromium, over the store of a small search."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Error as PlaywrightError

from dashboards import report
from dashboards.pages.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from storage import open_store
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.pages.watched import N_TRIALS, WAIT_MS, Watched, study_path, watch
from tests.dashboards.pages.web import Server, serving

pytestmark = pytest.mark.browser


def test_a_search_in_light_and_dark(watched: Watched, searched: str) -> None:
    page = watched.page
    watched.open("/")
    row = page.get_by_role("row").filter(has_text="seen")
    expect(row).to_contain_text(f"{N_TRIALS} of {N_TRIALS} trials")
    expect(row).to_contain_text("done")
    row.get_by_role("link", name="seen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("seen")
    expect(page.locator("#content[data-version]")).to_be_attached()

    figures = watched.draw_all()
    assert len(figures) >= 4
    assert all(figure["traces"] for figure in figures.values())
    with closing(open_store(searched, create=False)) as store:
        study = optuna.load_study(study_name="seen", storage=store.optuna_storage)
        trials, best = study.get_trials(deepcopy=False), study.best_value
    assert n_points(figures["history"]) == len(trials) == N_TRIALS
    assert n_points(figures["slices"]) >= N_TRIALS
    text = page.locator("#summary").inner_text()
    assert f"{N_TRIALS} complete" in text
    assert f"{100 * best:.2f} %" in text

    def colours() -> tuple[str, str]:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return paper, watched.draw("#history")["history"]["paper"]

    light = colours()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    dark = colours()
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    page.reload()
    expect(page.locator("#content[data-version]")).to_be_attached()
    assert colours() == dark
    page.get_by_role("button", name="Dark").click()
    assert colours() == light


def n_points(figure: dict[str, Any]) -> int:
    """The points of a figure that are trials."""
    traces = figure["traces"]
    return sum(trace["n"] for trace in traces if trace["mode"] == "markers" and trace["links"])


def test_points_and_links_open_trials(watched: Watched) -> None:
    watched.open(study_path(watched, "seen"))
    watched.draw_all()
    history = watched.page.locator("#history")
    history.evaluate("(figure) => figure.scrollIntoView({block: 'center'})")
    x, y = history.locator(".plot").evaluate(
        """async (plot) => {
            // A point may lie on one of the lines, which are no trials.
            const lines = plot.data.flatMap((trace, at) => (trace.mode === 'lines' ? [at] : []));
            await Plotly.restyle(plot, 'visible', false, lines);
            const trace = plot._fullData.find((t) => t.mode === 'markers' && t.visible === true);
            const at = plot.getBoundingClientRect();
            const {xaxis, yaxis} = plot._fullLayout;
            const number = trace.x.length - 1;
            return [
                at.left + xaxis._offset + xaxis.d2p(trace.x[number]),
                at.top + yaxis._offset + yaxis.d2p(trace.y[number]),
            ];
        }"""
    )
    watched.page.mouse.move(x, y)
    expect(history.locator(".hovertext")).to_contain_text("learning_rate")
    with watched.page.context.expect_page() as opened:
        watched.page.mouse.click(x, y)
    trial = opened.value
    number = re.search(r"/study/\d+/trial/(\d+)$", trial.url)
    assert number is not None
    expect(trial.get_by_role("heading", level=1)).to_have_text(f"Trial {number[1]} of seen")
    address = re.sub(r"\d+$", "0", trial.url)
    trial.close()
    link = watched.page.locator("#details").get_by_role("link", name="trial 0").first
    assert address == watched.home + (link.get_attribute("href") or "")
    link.click()
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("Trial 0 of seen")
    # Optuna Dashboard is one click away, at the same trial.
    watched.page.get_by_role("link", name="Optuna Dashboard").click()
    expect(watched.page.get_by_text("Trial 0 (trial_id=")).to_be_visible()
    watched.page.goto(f"{watched.home}/dashboard")
    expect(watched.page.get_by_text("seen", exact=False).first).to_be_visible()


def test_the_page_follows_a_running_search(watched: Watched, searched: str) -> None:
    store = open_store(searched, create=False)
    study = optuna.create_study(study_name="live", storage=store.optuna_storage)
    page = watched.page
    page.clock.install()
    watched.open(f"/study/{study._study_id}")
    expect(page.locator("#summary")).to_contain_text("no trials yet")

    def finish(value: float) -> None:
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, value)

    for value in (0.75, 0.5, 0.25):
        finish(value)
    page.clock.fast_forward(60_000)
    expect(page.locator("#summary")).to_contain_text("3 complete")
    assert n_points(watched.draw_all()["history"]) == 3
    page.evaluate(
        "Plotly.relayout(document.querySelector('#history .plot'), {'xaxis.range': [0, 9]})"
    )
    page.locator("#history").scroll_into_view_if_needed()
    finish(0.125)
    page.clock.fast_forward(60_000)
    expect(page.locator("#summary")).to_contain_text("0.125")
    assert n_points(watched.draw_all()["history"]) == 4
    zoom = "document.querySelector('#history .plot')._fullLayout.xaxis.range"
    assert page.evaluate(zoom) == [0, 9]
    store.close()


def test_a_hidden_page_asks_for_nothing(watched: Watched) -> None:
    page = watched.page
    page.clock.install()
    watched.open("/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    show = """(hidden) => {
        Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(show, True)
    page.clock.fast_forward(600_000)
    # A request of our own comes after any that the page had been about to make.
    page.evaluate("fetch('/pages/icon.svg')")
    assert [url for url in asked if "/data/" in url] == []
    with page.expect_request("**/data/overview"):
        page.evaluate(show, False)


def test_names_are_text_and_no_page_is_wider_than_the_screen(watched: Watched) -> None:
    page = watched.page

    def fits() -> None:
        for width in (390, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            found = watched.draw_all()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.mouse.wheel(0, -100_000)
        drawn.append(found)

    drawn: list[dict[str, dict[str, Any]]] = []
    watched.open("/")
    links = page.get_by_role("link", name=HOSTILE, exact=True)
    addresses = [link.get_attribute("href") or "" for link in links.all()]
    assert [address.split("/")[1] for address in addresses] == ["study", "benchmark"]
    fits()
    for address in addresses:
        watched.open(address)
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
        fits()
        # Nothing of it has become an element, on the page or in a figure.
        assert page.locator("img[src=x], main b, .plot b").count() == 0
    _, study, benchmark = drawn
    assert study
    assert max(trace["n"] for trace in benchmark["benchmark-seeds"]["traces"]) == 3 * 6
    watched.open(study_path(watched, "empty"))
    expect(page.locator("#summary")).to_contain_text("no trials yet")
    assert page.locator(".panel").count() == 0


SIZES = """() => [...document.querySelectorAll('.plot')].map((plot) => {
    const layout = plot._fullLayout;
    const bottom = (each) => (each ? each.getBoundingClientRect().bottom : 0);
    const legend = plot.querySelector('.legend');
    return [
        layout.width, layout.height, layout.xaxis?._length ?? 0, layout.yaxis?._length ?? 0,
        legend ? bottom(plot) - bottom(legend) : 0,
    ];
})"""
"""Of every plot on the page: its own and its axes', and where its legend ends, in pixels."""


def test_on_a_phone_plots_are_wide_and_turn_with_it_and_are_as_before_on_a_desk(
    watched: Watched,
) -> None:
    page = watched.page
    watched.open(study_path(watched, "seen"))
    watched.draw_all()
    before = page.evaluate(SIZES)
    page.set_viewport_size({"width": 390, "height": 844})
    watched.draw_all()
    page.wait_for_function(
        """[...document.querySelectorAll('.several .plot')].every((plot) => {
            const {width, xaxis} = plot._fullLayout;
            return width < 400 && xaxis._length > 200;
        })"""
    )
    # One below the other.
    tops = "[...document.querySelectorAll('#slices .plot')].map((plot) => plot.offsetTop)"
    assert len(set(page.evaluate(tops))) == 2
    page.wait_for_function(
        """() => {
            const box = document.querySelector('#parallel-coordinates .plots');
            const {width} = box.firstChild._fullLayout;
            return width === 3 * 132 && box.scrollWidth > box.clientWidth;
        }"""
    )
    page.set_viewport_size({"width": 844, "height": 390})
    watched.draw_all()
    page.wait_for_function(
        "document.querySelector('#parallel-coordinates .plot')._fullLayout.width > 600"
    )
    assert len(set(page.evaluate(tops))) == 1
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            "(wide) => document.querySelector('#history .plot')._fullLayout.width > 400 === wide",
            arg=width > 400,
        )
        page.wait_for_timeout(1000)
        watched.draw_all()
    # A margin that plotly fits to its labels may end up a pixel wider.
    page.wait_for_function(
        f"""(before) => ({SIZES})().every((sizes, plot) =>
            sizes.every((size, at) => Math.abs(size - before[plot][at]) <= 1))""",
        arg=before,
    )


def test_a_swipe_on_a_figure_moves_the_page(browser: Browser, server: Server) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    context.set_default_timeout(WAIT_MS)
    seen = Watched(context.new_page(), server.address)
    seen.open(study_path(seen, "seen"))
    finger = context.new_cdp_session(seen.page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    seen.draw_all()
    # Points, plots that are many, and axes that can be dragged.
    for key in ("history", "slices", "parallel-coordinates"):
        plot = seen.page.locator(f"#{key} .plot").first
        plot.evaluate("(plot) => plot.scrollIntoView({block: 'center', behavior: 'instant'})")
        before = seen.page.evaluate("scrollY")
        touch("touchStart", (195, 422))
        for step in range(1, 4):
            touch("touchMove", (195, 422 - 50 * step))
        touch("touchEnd")
        seen.page.wait_for_function("(before) => scrollY > before + 50", arg=before)
    context.close()


def test_a_password(browser: Browser, searched: str) -> None:
    secret = {USER_VARIABLE: "anna", PASSWORD_VARIABLE: "geheim"}
    with serving(searched, environment=secret) as server:
        context = browser.new_context()
        assert context.request.get(server.address).status == 401
        with pytest.raises(PlaywrightError, match="AUTH"):
            context.new_page().goto(server.address)
        context.close()
        context = browser.new_context(http_credentials={"username": "anna", "password": "geheim"})
        context.set_default_timeout(WAIT_MS)
        seen = Watched(context.new_page(), server.address)
        watch(seen, server.address)
        seen.open("/")
        assert context.request.get(f"{server.address}/plotly.js").ok
        context.close()
        assert seen.problems == []


def test_a_report_is_one_file(browser: Browser, searched: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    named = ["--study", "seen", "--benchmark", HOSTILE]
    assert report.main([*named, "--storage", searched, "--output", str(path)]) == 0
    context = browser.new_context()
    context.set_default_timeout(WAIT_MS)
    seen = Watched(context.new_page(), "")
    # Even a file beside it would be one too many.
    watch(seen, path.as_uri())
    # On paper all of it is there, though nobody has scrolled to it.
    seen.page.emulate_media(media="print", color_scheme="dark")
    seen.page.goto(path.as_uri())
    theme = "document.documentElement.dataset.theme"
    assert seen.page.evaluate(theme) == "dark"
    seen.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    seen.page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg'))"
    )
    assert seen.page.evaluate(theme) == "light"
    # A4 without its margins; what is wider is made smaller, with all the rest.
    seen.page.set_viewport_size({"width": 703, "height": 1000})
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 703
    seen.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert seen.page.evaluate(theme) == "dark"
    seen.page.emulate_media(media="screen", color_scheme="dark")
    figures = seen.draw_all()
    assert len(figures) > 8
    assert all(figure["traces"] for figure in figures.values())
    assert {"chapter-1-history", "chapter-2-benchmark-curves"} <= set(figures)
    assert seen.page.locator("img[src=x], main b, .plot b").count() == 0
    expect(seen.page.locator("body")).to_contain_text(HOSTILE)
    context.close()
    assert seen.problems == []
