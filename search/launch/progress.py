"""What a person sees while a search runs: a live table on a terminal, else one line an event."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Group
from rich.live import Live
from rich.text import Text

from dashboards.numbers.pace import search_epochs_left, seconds_to_end
from dashboards.numbers.study.snapshot import Snapshot, take_snapshot
from dashboards.numbers.study.trials import StudyTrial
from search.launch.plan import Plan
from search.runs.protocol import Report
from search.trials.open_trial import OpenTrial
from search.trials.study import OpenedStudy
from search.workers.ray_session import Slots
from space import format_duration
from space.metrics import Metric
from space.terminal.layout import table_lines
from space.terminal.printing import error_console, paper_of, say_error, say_event
from space.words import count, duration, show_params
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments

__all__ = ["LineProgress", "LiveProgress", "Pace", "on_terminal"]

REFRESH_SECONDS = 1.0


class Pace:
    """How fast a launch goes and when it will end.

    The estimate is the epochs that the remaining trials will take, as many each as those that ended
    took, at the pace of this launch so far; never later than the time limit.
    """

    def __init__(self, plan: Plan) -> None:
        """Start the clock."""
        self.of: Plan | OpenedStudy = plan
        self._started = time.monotonic()
        self._n_epochs = 0

    def epoch(self) -> None:
        """An epoch was recorded."""
        self._n_epochs += 1

    @property
    def elapsed(self) -> float:
        """Seconds since the launch began."""
        return time.monotonic() - self._started

    def remaining(self, snapshot: Snapshot, n_running_epochs: int, n_running: int) -> float | None:
        """Seconds until the launch ends, or None where nothing tells yet.

        Args:
            snapshot: The study now.
            n_running_epochs: Epochs that the running trials have behind them.
            n_running: How many run.
        """
        space = self.of.space
        limit = space.budget.time_limit
        return seconds_to_end(
            n_epochs=self._n_epochs,
            seconds=self.elapsed,
            epochs_left=search_epochs_left(
                space.max_trials,
                n_ended=snapshot.n_finished + snapshot.counts["FAIL"],
                a_trial=snapshot.mean_epochs or float(space.training.epochs),
                n_running=n_running,
                n_running_epochs=n_running_epochs,
            ),
            limit=None if limit is None else limit - self.elapsed,
        )


class LineProgress:
    """One line an event, for logs and pipes."""

    def __init__(self, plan: Plan) -> None:
        """Make the display; it writes to stderr."""
        self._plan = plan
        self._metrics = plan.space.metrics
        self._rungs = set(plan.space.rungs())
        self._show = ""

    def on_launch(
        self, opened: OpenedStudy, slots: Slots, n_reclaimed: int, changes: list[str]
    ) -> None:
        """Announce the study, the machine and the budget."""
        self._show = _command_to_show(opened)
        for line in announcement(self._plan, opened, slots, n_reclaimed, changes):
            say_event(line)

    def on_trial_start(self, trial: OpenTrial) -> None:
        """Announce a trial."""
        verb = f"goes on after epoch {trial.n_epochs}" if trial.resumed else "starts"
        note = " (baseline)" if trial.is_baseline else ""
        if trial.warm_start:
            note = f" (warm start from {trial.warm_start})"
        say_event(f"trial {trial.number}{note} {verb}: {show_params(trial.params)}")

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        """Report a rung, or every epoch that took long enough to be worth a line."""
        epoch = report.epoch
        if epoch is not None and (epoch.epoch in self._rungs or epoch.seconds >= 10):
            total = self._plan.space.training.epochs
            say_event(
                f"trial {trial.number} epoch {epoch.epoch}/{total}: "
                f"{self._values(trial)} ({epoch.seconds:.3g} s)"
            )

    def on_trial_end(self, trial: OpenTrial) -> None:
        """Report a trial's fate."""
        reason = f" ({_why(trial, self._show)})" if trial.state.name == "FAIL" else ""
        say_event(
            f"trial {trial.number} {trial.state.name} after {count(trial.n_epochs, 'epoch')}: "
            f"{self._values(trial)}{reason}"
        )

    def on_tick(self) -> None:
        """Nothing: lines come with events."""

    def close(self) -> None:
        """Nothing to take down."""

    def _values(self, trial: OpenTrial) -> str:
        if trial.values is None:
            return "no value"
        return ", ".join(
            f"{metric.name} {metric.show(value)}"
            for metric, value in zip(self._metrics, trial.values, strict=True)
        )


class Screen(Protocol):
    """Where a table redraws itself."""

    def say(self, line: str) -> None:
        """Write a line that stays."""

    def draw(self, table: Group) -> None:
        """Put a table in the place of the last one."""

    def close(self) -> None:
        """There is no further table; may be called more than once."""


class Terminal:
    """A `Screen` on stderr."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._live = Live(console=error_console(), auto_refresh=False, transient=True)

    def say(self, line: str) -> None:
        """See `Screen`."""
        say_error(line)

    def draw(self, table: Group) -> None:
        """See `Screen`."""
        if not self._live.is_started:
            self._live.start()
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Take the table down."""
        self._live.stop()


class LiveProgress:
    """A table that redraws itself."""

    def __init__(self, plan: Plan, screen: Screen) -> None:
        """Make the display."""
        self._plan = plan
        self._pace = Pace(plan)
        self._running: dict[int, OpenTrial] = {}
        self._opened: OpenedStudy | None = None
        self._screen = screen
        self._drawn_at = 0.0
        self._show = ""

    def on_launch(
        self, opened: OpenedStudy, slots: Slots, n_reclaimed: int, changes: list[str]
    ) -> None:
        """Announce the launch and draw the first table."""
        self._show = _command_to_show(opened)
        for line in announcement(self._plan, opened, slots, n_reclaimed, changes):
            self._screen.say(line)
        self._opened = self._pace.of = opened
        self._draw()

    def on_trial_start(self, trial: OpenTrial) -> None:
        """A row more."""
        self._running[trial.number] = trial

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        """A row changes; it is drawn with the next tick."""
        self._pace.epoch()

    def on_trial_end(self, trial: OpenTrial) -> None:
        """A row less; a failure stays on the screen."""
        self._running.pop(trial.number, None)
        if trial.state.name == "FAIL":
            self._screen.say(f"trial {trial.number} FAIL: {_why(trial, self._show)}")

    def on_tick(self) -> None:
        """Draw again once a second."""
        if time.monotonic() - self._drawn_at >= REFRESH_SECONDS:
            self._draw()

    def close(self) -> None:
        """Take the table down."""
        self._screen.close()

    def _draw(self) -> None:
        opened = self._opened
        if opened is not None:
            self._drawn_at = time.monotonic()
            snapshot = take_snapshot(opened.store, opened.id, opened.objectives)
            self._screen.draw(self._render(snapshot))

    def _render(self, snapshot: Snapshot) -> Group:
        counts = snapshot.counts
        total = self._pace.of.space.max_trials
        done = counts["COMPLETE"] + counts["PRUNED"] + counts["FAIL"]
        metric = self._plan.space.metrics[0]
        left = self._pace.remaining(
            snapshot, sum(t.n_epochs for t in self._running.values()), len(self._running)
        )
        end = "?" if left is None else f"{duration(round(left))} left"
        head = Text(
            f"trials {done}{'' if total is None else f'/{total}'}: {counts['COMPLETE']} complete, "
            f"{counts['PRUNED']} pruned, {counts['FAIL']} failed, {counts['RUNNING']} running   "
            f"{duration(round(self._pace.elapsed))} elapsed, {end}",
            style="bold",
        )
        best = Text(
            f"best {metric.name} {_leader(metric, snapshot.best[0] if snapshot.best else None)}   "
            f"baseline {_leader(metric, snapshot.baseline)}"
        )
        rungs = self._plan.space.rungs()
        table = table_lines(
            ("trial", "epoch", *(["next rung"] if rungs else []), metric.name, "parameters"),
            [
                (
                    f"{place}{'*' if trial.is_baseline else ''}",
                    f"{trial.n_epochs}/{self._plan.space.training.epochs}",
                    *([next_rung(rungs, trial.n_epochs)] if rungs else []),
                    "" if trial.values is None else metric.show(trial.values[0]),
                    show_params(trial.params),
                )
                for place, trial in sorted(self._running.items())
            ],
            paper_of(sys.stderr),
            left=frozenset({4 if rungs else 3}),
        )
        return Group(head, best, *(Text(line, no_wrap=True) for line, _ in table))


def _command_to_show(opened: OpenedStudy) -> str:
    """The command that shows a study, tracebacks and all."""
    name = opened.space.study
    return command_line("storage", ["show", name, *storage_arguments(opened.store.name)])


def _why(trial: OpenTrial, command: str) -> str:
    """Why a trial failed, and where more of it stands."""
    return f"{trial.reason}; its traceback: {command}" if trial.traceback else str(trial.reason)


def _leader(metric: Metric, row: StudyTrial | None) -> str:
    if row is None:
        return "-"
    note = "" if row.state == "COMPLETE" else f", {row.state.lower()} at epoch {row.longest}"
    return f"{metric.show(row.values[0])} (trial {row.number}{note})"


def next_rung(rungs: Sequence[int], epoch: int) -> str:
    """The next epoch at which the pruner may decide; none after the last rung."""
    return next((str(rung) for rung in rungs if rung > epoch), "-")


def announcement(
    plan: Plan, opened: OpenedStudy, slots: Slots, n_reclaimed: int, changes: list[str]
) -> list[str]:
    """What is said before the first trial: study, data, machine and budget."""
    space = plan.space
    known = opened.trials()
    n_waiting = sum(trial.state.name == "WAITING" for trial in known)
    n_done = sum(trial.state.is_finished() for trial in known)
    gpus = f", {count(slots.gpus, 'GPU')}" if slots.gpus else ""
    machines = f"{count(slots.nodes, 'machine')}, " if slots.nodes > 1 else ""
    n_processes = space.resources.n_processes
    team = f", {n_processes} processes a run" if n_processes > 1 else ""
    lines = [
        f"study '{space.study}' on {plan.place.data.source}: {machines}"
        f"{count(slots.cpus, 'CPU')}{gpus}; {count(slots.concurrency, 'worker')}, "
        f"{count(space.resources.cpus, 'CPU')} each{team}"
    ]
    if plan.form is not None:
        lines.append(plan.form)
    if n_done or n_reclaimed:
        lines.append(
            f"going on: {count(n_done, 'trial')} {'is' if n_done == 1 else 'are'} done, "
            f"{n_waiting} {'waits' if n_waiting == 1 else 'wait'} to go on or to start"
        )
    lines += [f"changed since the last launch: {change}" for change in changes]
    limits = []
    if plan.space.max_trials is not None:
        limits.append(f"{count(plan.space.max_trials, 'trial')} in all")
    if space.budget.epochs is not None:
        limits.append(f"{count(space.budget.epochs, 'epoch')} in all")
    if space.budget.time_limit is not None:
        end = datetime.datetime.now() + datetime.timedelta(seconds=space.budget.time_limit)
        limit = format_duration(space.budget.time_limit)
        covers = ", confirmation included" if space.confirm.top else ""
        limits.append(f"{limit}, that is {end:%Y-%m-%d %H:%M:%S} at the latest{covers}")
    lines.append(f"budget: {'; '.join(limits)}; the same command goes on from there")
    return lines


def on_terminal(plan: Plan) -> LineProgress | LiveProgress:
    """The display of a command: a table where stderr is a terminal, else a line an event."""
    is_terminal = error_console().is_terminal
    return LiveProgress(plan, Terminal()) if is_terminal else LineProgress(plan)
