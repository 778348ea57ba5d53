"""How long a study's page takes to open, beside Optuna Dashboard on the same store.

    python -m tests.benchmarks.searching.pages_beside_optuna [--trials 100 2000 10000 50000]
        [--json FILE]

For each number of trials, a server that has just started, ours and then theirs: the first answer
with the study's numbers, the first figure that Chromium has drawn, and the first row of the table
of trials (of Optuna Dashboard's list of them). Beside the wall time stand the CPU seconds of the
server and of Chromium, for machines that do other things too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from typing import NamedTuple

import optuna
import psutil
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import sync_playwright

from tests.benchmarks.results import Cell, Table, add_json_option, cpu_seconds, publish
from tests.benchmarks.searching.dashboard_load import Asked, made
from tests.dashboards.pages.web import Server, serving

LONGEST_SECONDS = 120
"""What is not there by then counts as never."""


class Drawn(NamedTuple):
    """Until something stood on a page: wall seconds, and CPU seconds; None where it never did."""

    wall: float | None
    server: float
    browser: float


def drawn(server: Server, path: str, what: str) -> Drawn:
    """Go to an address in a browser that has just begun, and wait for an element."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("there is no Chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(1000 * LONGEST_SECONDS)
        pid = server.process.pid
        busy, own, began = cpu_seconds(pid), _chromium_seconds(), time.perf_counter()
        page.goto(server.address + path)
        wall: float | None = None
        try:
            page.locator(what).first.wait_for(state="attached")
            wall = time.perf_counter() - began
        except PlaywrightTimeoutError:
            pass
        found = Drawn(wall, cpu_seconds(pid) - busy, _chromium_seconds() - own)
        browser.close()
    return found


def _chromium_seconds() -> float:
    """What the browser's processes have computed so far."""
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                seconds += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return seconds


def measure(n_trials: int) -> list[list[Cell]]:
    """A row for our page and one for theirs."""
    rows: list[list[Cell]] = []
    with made(n_trials) as (_, url, study_id):
        of, theirs_of = f"/study/{study_id}", f"/dashboard/studies/{study_id}"
        ours = (f"/data{of}", of, ".panel[data-drawn]", f"{of}/trials", ".rows tbody tr")
        points = ".js-plotly-plot .point"
        theirs = (f"/api/studies/{study_id}", theirs_of, points, f"{theirs_of}/trials", "main li")
        for name, (data, page, figure, table, row) in (("ours", ours), ("Optuna's", theirs)):
            with serving(url) as server:
                answer = Asked(server, data)
                first = drawn(server, page, figure)
                listed = drawn(server, table, row)
            rows.append([n_trials, name, answer.wall, answer.cpu, *first, *listed])
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main(argv: list[str]) -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 2_000, 10_000, 50_000])
    add_json_option(parser)
    options = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = [row for n_trials in options.trials for row in measure(n_trials)]
    load = os.getloadavg()[2]
    ends = (min(options.trials), max(options.trials))
    sizes = dict.fromkeys(f"{n_trials:,}" for n_trials in ends)
    publish(
        title=f"Pages beside Optuna Dashboard, {' to '.join(sizes)} trials",
        module="tests.benchmarks.searching.pages_beside_optuna",
        argv=argv,
        tables=[
            Table(
                title="Seconds",
                columns=[
                    "trials",
                    "page",
                    "answer",
                    "answer, server CPU",
                    "figure",
                    "figure, server CPU",
                    "figure, Chromium CPU",
                    "table",
                    "table, server CPU",
                    "table, Chromium CPU",
                ],
                rows=rows,
            )
        ],
        notes=[
            "The server has just started when it is asked for the answer; a figure is the first "
            "whose points are drawn, the table its first row, of Optuna Dashboard its list of "
            f"trials. A dash is what was not there after {LONGEST_SECONDS} s.",
            f"The machine's load average was {load:.0f} on {os.cpu_count()} CPUs at the end, of "
            "other work: on a busy machine the wall times are several times those of a quiet one, "
            "the CPU seconds are not.",
        ],
        json_file=options.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
