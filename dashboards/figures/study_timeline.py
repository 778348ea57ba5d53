"""Which worker trained which trial when."""

from __future__ import annotations

from dashboards.figures.panel import Panel
from dashboards.figures.study_words import Drawing, state_word
from dashboards.figures.template import STATE_COLOURS, escape, figure, shorten
from dashboards.numbers.study import STATES
from dashboards.numbers.study_timeline import Segment
from dashboards.numbers.study_trials import StudyTrial

__all__ = ["timeline_panel"]

MAX_BARS = 1500
MAX_WORKERS = 32
EARLIER = "earlier launch"
DIVIDER = {"color": "rgba(255,255,255,0.7)", "width": 1}
"""Between bars of one colour."""


def timeline_panel(drawing: Drawing) -> Panel | None:
    """A row a worker, a bar for what a launch trained of a trial."""
    view = drawing.view
    if not view.timeline:
        return None
    n_bars = min(MAX_BARS, drawing.max_trials)
    latest = view.timeline[-n_bars:]
    workers = list(dict.fromkeys(_worker(segment) for segment in latest))
    shown = set(workers[-MAX_WORKERS:])
    segments = [segment for segment in latest if _worker(segment) in shown]
    rows = {worker: row for row, worker in enumerate(workers[-MAX_WORKERS:])}
    trials = {trial.trial_id: trial for trial in view.trials}
    drawn = figure(height=130 + 26 * max(4, len(rows)))
    for state in STATES:
        own = [s for s in segments if s.trial_id in trials and trials[s.trial_id].state == state]
        if not own:
            continue
        drawn.add_trace(
            {
                "type": "bar",
                "orientation": "h",
                "name": state_word(state),
                "base": [segment.started_at.strftime("%Y-%m-%d %H:%M:%S") for segment in own],
                "x": [
                    max(1, round(1000 * (each.ended_at - each.started_at).total_seconds()))
                    for each in own
                ],
                "y": [rows[_worker(segment)] for segment in own],
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
    drawn.update_yaxes(
        title_text="worker",
        tickvals=list(rows.values()),
        ticktext=[escape(shorten(worker, 24)) for worker in rows],
        showgrid=False,
        range=[len(rows) - 0.4, -0.6],
    )
    caption = "A bar is what one launch trained of a trial, coloured by what became of the trial."
    if len(segments) < len(view.timeline):
        caption += f" The latest {len(segments):,} of {len(view.timeline):,} bars are drawn."
    return Panel(key="timeline", title="Trials on their workers", caption=caption, figure=drawn)


def _worker(segment: Segment) -> str:
    return EARLIER if segment.worker is None else segment.worker


def _hover(drawing: Drawing, segment: Segment, trial: StudyTrial) -> str:
    again = f", replicate {segment.replicate}" if drawing.view.replicates > 1 else ""
    seconds = (segment.ended_at - segment.started_at).total_seconds()
    return (
        f"<b>trial {trial.number}</b> {state_word(trial.state)}{again}<br>"
        f"{segment.n_epochs} epochs in {seconds:.1f} s, launch {segment.launch_id}<br>"
        f"{escape(shorten(_worker(segment), 60))}"
    )
