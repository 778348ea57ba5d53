"""Tables of all trials, the pages of trials, and comparisons, in a real Chromium."""

from __future__ import annotations

from contextlib import closing

import optuna
import pytest
from playwright.sync_api import expect

from storage import open_store
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.pages.watched import N_TRIALS, Watched, study_path

pytestmark = pytest.mark.browser


def test_a_table_is_filtered_sorted_and_sent_as_an_address(watched: Watched, searched: str) -> None:
    page = watched.page
    watched.open(study_path(watched, "seen"))
    page.get_by_role("link", name=f"All {N_TRIALS} trials").click()
    rows = page.locator(".rows tbody tr")
    expect(rows).to_have_count(N_TRIALS)
    with closing(open_store(searched, create=False)) as store:
        study = optuna.load_study(study_name="seen", storage=store.optuna_storage)
        values = sorted(trial.value for trial in study.trials)
    page.get_by_role("link", name="validation error").click()
    expect(page.locator("th[aria-sort=ascending]")).to_be_visible()
    shown = rows.locator("td:nth-child(3)")
    assert [float(cell.get_attribute("title") or "") for cell in shown.all()] == values
    page.get_by_label("filter").fill(f"val_error <= {values[2]!r}")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(3)
    # The filter has not undone the order, and all of it is in the address.
    assert [float(cell.get_attribute("title") or "") for cell in shown.all()] == values[:3]
    again = page.context.new_page()
    again.goto(page.url)
    expect(again.locator(".rows tbody tr")).to_have_count(3)
    with again.expect_download() as saved:
        again.get_by_role("link", name="CSV of these rows").click()
    assert len(saved.value.path().read_text().splitlines()) == 4
    again.close()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="train loss").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("columnheader", name="train loss")).to_be_visible()


def test_ticked_trials_are_compared(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.home + study_path(watched, "seen") + "/trials")
    for number in (0, 2):
        page.get_by_role("checkbox", name=f"compare trial {number}").check()
    page.get_by_role("button", name="Compare the ticked ones").click()
    expect(page.locator("#content[data-version]")).to_be_attached()
    found = watched.draw_all()
    assert all(
        {trace["name"] for trace in figure["traces"] if trace["mode"] == "lines"}
        >= {"trial 0", "trial 2"}
        for figure in found.values()
    )
    expect(page.locator("#summary")).to_contain_text("learning_rate")


def test_a_command_is_copied(watched: Watched) -> None:
    page = watched.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    watched.open(study_path(watched, "seen") + "/trial/1")
    assert watched.draw_all()
    box = page.locator(".commands .copied").first
    box.get_by_role("button", name="Copy").click()
    expect(box.get_by_role("button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == box.locator("pre").inner_text()
    assert "--trial 1" in copied


def test_tables_and_trials_fit_a_phone(watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": 390, "height": 844})
    study = study_path(watched, "seen")
    link = page.get_by_role("link", name=HOSTILE, exact=True).first
    hostile = link.get_attribute("href")
    for path in (f"{hostile}/trials", f"{hostile}/trial/0", f"{study}/compare?trial=0&trial=1"):
        page.goto(watched.home + path)
        if page.locator("#content").count():
            expect(page.locator("#content[data-version]")).to_be_attached()
            watched.draw_all()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("img[src=x], main b, .plot b").count() == 0
        heights = "[...document.querySelectorAll('tr')].map((row) => row.offsetHeight)"
        assert max(page.evaluate(heights)) < 200
    page.goto(f"{watched.home}{hostile}/trials")
    # The first column stays where it is while the others move, the heading while rows do.
    before = page.locator(".rows tbody th").first.bounding_box()
    page.locator(".rows").evaluate("(box) => box.scrollBy(300, 200)")
    after = page.locator(".rows tbody th").first.bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] == before["x"]
    assert after["y"] < before["y"]
    small = """() => [...document.querySelectorAll('main a, main button, main input, main select')]
        .filter((each) => each.offsetParent && each.getBoundingClientRect().height < 24
            && !each.closest('p, .tick, .choice'))
        .map((each) => each.outerHTML)"""
    assert page.evaluate(small) == []


def test_everybody_can_use_every_page(watched: Watched, searched: str) -> None:
    """No finding of axe-core that it calls serious, on pages of every kind, in both themes."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = watched.page
    study = study_path(watched, "seen")
    benchmark = page.locator("a[href^='/benchmark/']").first.get_attribute("href")
    with closing(open_store(searched, create=False)) as store:
        run_id = store.runs()[0].run_id
    for path in (
        "/",
        study,
        f"{study}/trials",
        f"{study}/trials?group=state",
        f"{study}/trials?where=none+of+these",
        f"{study}/trial/1",
        f"{study}/actions",
        "/queue",
        f"{study}/compare?trial=0&trial=1",
        f"{benchmark}",
        f"{benchmark}/runs?group=config",
        f"/run/{run_id}",
        "/study/none",
    ):
        page.goto(watched.home + path)
        if page.locator("#content").count():
            expect(page.locator("#content[data-version]")).to_be_attached()
            watched.draw_all()
        page.evaluate(
            "document.querySelectorAll('main details').forEach((each) => { each.open = true; })"
        )
        # What axe finds in order is not asked for: it takes most of its time to say so.
        for theme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
            options = {"resultTypes": ["violations"], **rules}
            found = axe.Axe().run(page, options=options).response["violations"]
            serious = [
                (path, theme, each["id"], each["nodes"][0]["html"])
                for each in found
                if each["impact"] in ("serious", "critical")
            ]
            assert serious == []
    watched.problems = [
        each for each in watched.problems if "404" not in each and "400" not in each
    ]


def test_a_seed_opens_its_run(watched: Watched) -> None:
    page = watched.page
    watched.open("/")
    watched.open(page.locator("a[href^='/benchmark/']").first.get_attribute("href") or "")
    watched.draw_all()
    plot = page.locator("#benchmark-seeds .plot")
    with page.context.expect_page() as opened:
        plot.evaluate("""(plot) => plot.emit('plotly_click', {
            points: [{customdata: plot.data[0].customdata[0]}],
        })""")
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text("Run ")
