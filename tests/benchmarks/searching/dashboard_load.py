"""How long a study's page takes to open, and what the server's memory does over many refreshes.

    python -m tests.benchmarks.searching.dashboard_load [--trials 100 2000 10000] [--refreshes 1000]

For each number of trials: the first answer with the page's content (the server has just started,
and still loads what only figures need), the answer after one more trial, the answer when nothing
has changed, and the table of all trials, the first time and filtered and sorted; all by HTTP, with
the CPU seconds of the server beside the wall time, for machines that do other things too. Where
there is a Chromium, also the time from going to the address until the first figure and until every
figure on the first screen is drawn. Then one server is asked again and again, a trial ending before
each time, and the resident memory it has is printed ten times on the way.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from playwright.sync_api import expect, sync_playwright

from storage.store import Store, open_store
from tests.benchmarks.results import cpu_seconds
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.web import Server, serving

FILTERED = "where=val_error+%3C+0.2+and+aux_weight+%3E+0.5&sort=val_error"
"""A table's filter and order."""


class Asked:
    """One request: wall seconds, the server's CPU seconds, the size of the answer in bytes."""

    def __init__(self, server: Server, path: str, tag: str | None = None) -> None:
        """Ask."""
        headers = {"Accept-Encoding": "gzip"} | ({} if tag is None else {"If-None-Match": tag})
        busy, began = cpu_seconds(server.process.pid), time.perf_counter()
        try:
            asked = urllib.request.Request(f"{server.address}{path}", headers=headers)
            with urllib.request.urlopen(asked) as answer:
                body, self.tag = answer.read(), answer.headers["ETag"]
                is_packed = answer.headers["Content-Encoding"] == "gzip"
            self.n_bytes = len(gzip.decompress(body)) if is_packed else len(body)
            self.n_sent = len(body)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 304:
                    raise
            self.n_bytes = self.n_sent = 0
        self.wall = time.perf_counter() - began
        self.cpu = cpu_seconds(server.process.pid) - busy


def resident_mib(server: Server) -> float:
    """A server's memory."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError("the kernel does not say")


def finish_trial(store: Store) -> None:
    """One more complete trial."""
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    trial = study.ask(study.get_trials(deepcopy=False)[0].distributions)
    trial.report(0.5, 1)
    study.tell(trial, 0.5)


@contextmanager
def made(n_trials: int) -> Iterator[tuple[Store, str, int]]:
    """A store with one study, its URL and the study's number."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/s.db"
        store = open_store(url)
        study_id = add_study(store, "made", n_trials)
        yield store, url, study_id
        store.close()


def in_browser(server: Server, path: str) -> tuple[float, float] | None:
    """Seconds until the first figure and until every figure of the first screen is drawn."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return None
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(300_000)
        began = time.perf_counter()
        page.goto(server.address + path)
        expect(page.locator(".panel[data-drawn]").first).to_be_attached(timeout=300_000)
        first = time.perf_counter() - began
        page.wait_for_function(
            "[...document.querySelectorAll('.panel')].every((each) => each.dataset.drawn ||"
            " each.getBoundingClientRect().top > innerHeight)"
        )
        every = time.perf_counter() - began
        browser.close()
    return first, every


def measure_opening(sizes: Sequence[int]) -> None:
    """Print a row a size."""
    print(
        f"{'trials':>7} {'first s':>8} {'(CPU)':>7} {'changed s':>10} {'(CPU)':>7} {'same ms':>8} "
        f"{'overview ms':>12} {'JSON MB':>8} {'sent MB':>8} {'figure s':>9} {'screen s':>9} "
        f"{'RSS MiB':>8} "
        f"{'table s':>8} {'(CPU)':>7} {'filter ms':>10}"
    )
    for n_trials in sizes:
        with made(n_trials) as (store, url, study_id), serving(url) as server:
            path = f"/data/study/{study_id}"
            first = Asked(server, path)
            same = Asked(server, path, first.tag)
            finish_trial(store)
            changed = Asked(server, path, first.tag)
            overview = Asked(server, "/data/overview")
            table = Asked(server, f"/study/{study_id}/trials")
            filtered = Asked(server, f"/study/{study_id}/trials?{FILTERED}")
            drawn = in_browser(server, f"/study/{study_id}")
            seen = "{:>9} {:>9}".format(
                *("-", "-") if drawn is None else map("{:.2f}".format, drawn)
            )
            print(
                f"{n_trials:>7} {first.wall:>8.2f} {first.cpu:>7.2f} {changed.wall:>10.2f} "
                f"{changed.cpu:>7.2f} {1000 * same.wall:>8.0f} {1000 * overview.wall:>12.0f} "
                f"{first.n_bytes / 1e6:>8.2f} {first.n_sent / 1e6:>8.2f} {seen} "
                f"{resident_mib(server):>8.0f} {table.wall:>8.2f} {table.cpu:>7.2f} "
                f"{1000 * filtered.wall:>10.0f}",
                flush=True,
            )


def measure_memory(n_refreshes: int, n_trials: int) -> None:
    """Print the server's memory over refreshes that all find something new."""
    print(f"\nrefreshes of a study that had {n_trials} trials, one more before each")
    with made(n_trials) as (store, url, study_id), serving(url) as server:
        began = time.perf_counter()
        for n_done in range(n_refreshes + 1):
            Asked(server, f"/data/study/{study_id}")
            Asked(server, "/data/overview")
            if n_done % max(1, n_refreshes // 10) == 0:
                seconds = time.perf_counter() - began
                print(
                    f"{n_done:>7} refreshes {resident_mib(server):>8.0f} MiB after {seconds:.0f} s",
                    flush=True,
                )
            finish_trial(store)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 2_000, 10_000])
    parser.add_argument("--refreshes", type=int, default=1_000)
    parser.add_argument("--refresh-trials", type=int, default=100)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    measure_opening(options.trials)
    if options.refreshes:
        measure_memory(options.refreshes, options.refresh_trials)


if __name__ == "__main__":
    main()
