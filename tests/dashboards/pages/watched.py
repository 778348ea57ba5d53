"""A page in a real browser, and what goes wrong on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, Request, expect

__all__ = ["N_TRIALS", "WAIT_MS", "Watched", "study_path", "watch"]

WAIT_MS = 120_000
"""A page takes seconds to fill, and some ten times as long on a machine that is busy with other
work; what takes longer never comes, and a test is not to wait for that."""


N_TRIALS = 6
"""Trials of the search that the store is of."""


@dataclass
class Watched:
    """A page, and what went wrong on it."""

    page: Page
    home: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to one of our pages and wait until it is filled."""
        self.page.goto(self.home + path)
        expect(self.page.locator("#content[data-version]")).to_be_attached(timeout=WAIT_MS)

    def draw_all(self) -> dict[str, dict[str, Any]]:
        """See `draw`."""
        return self.draw(".panel")

    def draw(self, which: str) -> dict[str, dict[str, Any]]:
        """Scroll to figures; return each one's data as plotly has drawn it, by key.

        Args:
            which: A CSS selector of their panels.
        """
        self.page.evaluate(
            """async (which) => {
                for (const panel of document.querySelectorAll(which)) {
                    panel.scrollIntoView({block: 'nearest', behavior: 'instant'});
                    await new Promise((done) => {
                        const look = () => panel.dataset.drawn && done();
                        new MutationObserver(look).observe(panel, {attributes: true});
                        look();
                    });
                }
            }""",
            which,
        )
        found: dict[str, dict[str, Any]] = self.page.evaluate(
            """(which) => Object.fromEntries([...document.querySelectorAll(which)].map((each) => {
                const plots = [...each.querySelectorAll('.plot')];
                const traces = plots.flatMap((plot) => plot._fullData);
                return [each.id, {
                    traces: traces.filter((t) => t.visible === true).map((t) => ({
                        name: t.name, type: t.type, mode: t.mode,
                        n: (t.x && t.x.length) || 0,
                        links: (t.customdata || []).length,
                    })),
                    paper: plots[0]._fullLayout.font.color,
                }];
            }))""",
            which,
        )
        return found


def watch(seen: Watched, *allowed: str) -> None:
    """Note errors of every page of a context, and requests to other places than those allowed."""

    def ask(request: Request) -> None:
        if not request.url.startswith((*allowed, "data:", "blob:")):
            seen.problems.append(f"asked {request.url}")

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: seen.problems.append(f"raised {error}"))
        page.on("dialog", lambda dialog: seen.problems.append(f"said {dialog.message}"))
        page.on(
            "console",
            lambda said: seen.problems.append(said.text) if said.type == "error" else None,
        )

    context = seen.page.context
    context.on("request", ask)
    context.on("page", listen)
    listen(seen.page)


def study_path(watched: Watched, name: str) -> str:
    """The address of a study's page, found on the overview."""
    watched.open("/")
    address = watched.page.get_by_role("link", name=name, exact=True).get_attribute("href")
    assert address is not None
    return address
