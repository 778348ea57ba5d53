"""Which worker trained which trial when."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing
from dashboards.figures.template import STATE_COLOURS, escape, figure, shorten
from dashboards.numbers.study.timeline import Segment, Timeline, latest
from dashboards.numbers.study.trials import StudyTrial
from space.words import STATES, count, duration

__all__ = ["timeline_panel"]

MAX_BARS = 1500
MAX_WORKERS = 32
EARLIER = "earlier launch"
DIVIDER = {"color": "rgba(255,255,255,0.7)", "width": 1}
"""Between bars of one colour."""
N_TICKS = 4
MINUTE = datetime.timedelta(minutes=1)
STEPS_IN_MINUTES = (1 / 12, 1 / 4, 1 / 2, 1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
STEPS = tuple(datetime.timedelta(minutes=minutes) for minutes in STEPS_IN_MINUTES)
"""From one tick to the next where idle time is left out."""


def timeline_panel(drawing: Drawing) -> Panel | None:
    """A row a worker, a bar for what a launch trained of a trial."""
    view = drawing.view
    if not view.timeline:
        return None
    shown = latest(view.timeline, min(MAX_BARS, drawing.max_trials), MAX_WORKERS)
    segments = shown.segments
    rows = {worker: row for row, worker in enumerate(shown.workers)}
    trials = {trial.trial_id: trial for trial in view.trials}
    drawn = figure(height=130 + 26 * max(4, len(rows)))
    for state, word in STATES.items():
        own = [s for s in segments if s.trial_id in trials and trials[s.trial_id].state == state]
        if not own:
            continue
        drawn.add_trace(
            {
                "type": "bar",
                "orientation": "h",
                "name": word,
                "base": [segment.started_at.strftime("%Y-%m-%d %H:%M:%S") for segment in own],
                "x": [
                    max(1, round(1000 * (each.ended_at - each.started_at).total_seconds()))
                    for each in own
                ],
                "y": [rows[segment.worker] for segment in own],
                "width": 0.78,
                "marker": {"color": STATE_COLOURS[state], "line": DIVIDER},
                "customdata": drawing.links(trials[segment.trial_id] for segment in own),
                "hoverinfo": "text",
                "hovertext": [_hover(drawing, each, trials[each.trial_id]) for each in own],
            }
        )
    if len(segments) <= 150:
        for trace in drawn.data:
            trace.text = [str(data[0]) for data in trace.customdata]
            trace.textposition = "inside"
            trace.insidetextanchor = "middle"
            trace.textangle = 0
        drawn.update_layout(uniformtext={"minsize": 10, "mode": "hide"})
    drawn.update_layout(barmode="overlay")
    drawn.update_xaxes(type="date", title_text="time (UTC)")
    _leave_out(drawn, shown)
    drawn.update_yaxes(
        title_text="worker",
        tickvals=list(rows.values()),
        ticktext=[escape(shorten(_worker(worker), 24)) for worker in rows],
        showgrid=False,
        range=[len(rows) - 0.4, -0.6],
    )
    caption = "A bar is what one launch trained of a trial, coloured by what became of the trial."
    if shown.idle:
        n_cuts = len(shown.idle)
        cuts = "A dotted line marks" if n_cuts == 1 else f"{n_cuts} dotted lines mark"
        longest = max(each.ended_at - each.started_at for each in shown.idle)
        long = f"{'' if n_cuts == 1 else 'up to '}{duration(longest.total_seconds())}"
        caption += f" {cuts} where idle time ({long}) is left out."
    if len(segments) < len(view.timeline):
        caption += f" The latest {len(segments):,} of {len(view.timeline):,} bars are drawn."
    return Panel(key="timeline", title="Trials on their workers", caption=caption, figures=[drawn])


def _leave_out(drawn: go.Figure, shown: Timeline) -> None:
    """Cut idle time out of the axis, mark where it was, and choose ticks for what is left."""
    if not shown.idle:
        return
    spans = shown.busy
    busy = sum((end - start for start, end in spans), start=datetime.timedelta())
    edge = 0.02 * busy
    ticks = _ticks(spans, busy)
    drawn.update_xaxes(
        rangebreaks=[{"bounds": [_text(i.started_at), _text(i.ended_at)]} for i in shown.idle],
        range=[_text(spans[0][0] - edge), _text(spans[-1][1] + edge)],
        tickvals=[_text(tick) for tick, _ in ticks],
        ticktext=[label for _, label in ticks],
    )
    for each in shown.idle:
        drawn.add_vline(x=_text(each.ended_at), line={"width": 2, "dash": "dot"})


def _ticks(
    spans: Sequence[tuple[datetime.datetime, datetime.datetime]], busy: datetime.timedelta
) -> list[tuple[datetime.datetime, str]]:
    """Full minutes or hours within the spans; the first of each day names the day, too."""
    step = next((step for step in STEPS if busy <= N_TICKS * step), STEPS[-1])
    apart = busy / N_TICKS
    found: list[tuple[datetime.datetime, str]] = []
    taken = None
    day = None
    before = datetime.timedelta()
    for start, end in spans:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        tick = midnight + step * -(-(start - midnight) // step)
        own = []
        while tick <= end:
            own.append(tick)
            tick += step
        for tick in own or [start]:
            at = before + (tick - start)
            if taken is not None and at - taken < 0.7 * apart:
                continue
            taken = at
            label = f"{tick:%H:%M:%S}" if step < MINUTE or not own else f"{tick:%H:%M}"
            if tick.date() != day:
                label += f"<br>{tick:%b} {tick.day}"
            day = tick.date()
            found.append((tick, label))
        before += end - start
    return found


def _text(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


def _worker(worker: str | None) -> str:
    return EARLIER if worker is None else worker


def _hover(drawing: Drawing, segment: Segment, trial: StudyTrial) -> str:
    again = f", replicate {segment.replicate}" if drawing.view.replicates > 1 else ""
    seconds = (segment.ended_at - segment.started_at).total_seconds()
    return (
        f"<b>trial {trial.number}</b> {STATES[trial.state]}{again}<br>"
        f"{count(segment.n_epochs, 'epoch')} in {seconds:.1f} s, launch {segment.launch_id}<br>"
        f"{escape(shorten(_worker(segment.worker), 60))}"
    )
