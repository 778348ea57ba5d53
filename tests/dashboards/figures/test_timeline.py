"""Idle time between launches, and the axis that leaves it out."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing
from dashboards.figures.study.timeline import timeline_panel
from dashboards.numbers.study.timeline import Segment, idle_times, latest
from dashboards.numbers.study.view import StudyView
from tests.dashboards.made.shelf import Shelf

START = datetime.datetime(2026, 3, 1, 20, tzinfo=datetime.UTC)


def segment(begin: float, end: float, worker: str = "a 1", trial_id: int = 1) -> Segment:
    """What was trained between two times in minutes."""
    return Segment(
        trial_id=trial_id,
        replicate=0,
        launch_id=1,
        worker=worker,
        started_at=START + datetime.timedelta(minutes=begin),
        ended_at=START + datetime.timedelta(minutes=end),
        n_epochs=3,
    )


def minutes(time: datetime.datetime) -> float:
    return (time - START).total_seconds() / 60


def test_a_night_is_idle_time_but_for_a_little_at_both_ends() -> None:
    (idle,) = idle_times([segment(0, 50), segment(700, 750)])
    assert minutes(idle.started_at) == pytest.approx(51)
    assert minutes(idle.ended_at) == pytest.approx(699)


def test_short_gaps_and_those_of_one_worker_stay() -> None:
    assert idle_times([segment(0, 50), segment(55, 105)]) == ()
    assert idle_times([segment(0, 10), segment(90, 100), segment(5, 95, worker="b 2")]) == ()
    assert idle_times([]) == ()


def test_the_latest_are_shown_of_the_latest_workers_with_what_lies_between() -> None:
    every = [segment(0, 50), segment(700, 750, worker="b 2"), segment(760, 790, worker="c 3")]
    assert latest(every, 2, 32).segments == every[1:]
    assert latest(every, 3, 2).workers == ["b 2", "c 3"]
    shown = latest(every, 3, 3)
    assert shown.segments == every
    assert [start for start, _ in shown.busy] == [START, shown.idle[0].ended_at]
    assert [end for _, end in shown.busy] == [shown.idle[0].started_at, every[2].ended_at]


def test_only_the_longest_are_left_out_oldest_first() -> None:
    found = idle_times([segment(1000 * i + i * i, 1000 * i + i * i + 1) for i in range(40)])
    assert len(found) == 30
    assert list(found) == sorted(found)
    assert minutes(found[0].started_at) > 9000


def drawn(view: StudyView, *segments: Segment) -> Panel:
    changed = replace(view, timeline=segments)
    panel = timeline_panel(Drawing(view=changed, trial_url=None, max_trials=100))
    assert panel is not None
    return panel


def test_the_axis_leaves_the_night_out_and_marks_it(shelf: Shelf) -> None:
    view = shelf.study(n_trials=4)
    ids = [trial.trial_id for trial in view.trials]
    panel = drawn(view, segment(0, 50, trial_id=ids[0]), segment(700, 750, trial_id=ids[1]))
    axis = panel.figures[0].layout.xaxis
    (cut,) = axis.rangebreaks
    assert list(cut.bounds) == ["2026-03-01 20:51:00.000000", "2026-03-02 07:39:00.000000"]
    (line,) = panel.figures[0].layout.shapes
    assert line.x0 == line.x1 == cut.bounds[1]
    assert axis.range == ("2026-03-01 19:57:57.600000", "2026-03-02 08:32:02.400000")
    # Both sides of the cut have a time, and each day is named once.
    assert [text.split("<br>")[0] for text in axis.ticktext] == ["20:00", "20:30", "08:00", "08:30"]
    assert [text.split("<br>")[1] for text in axis.ticktext if "<br>" in text] == ["Mar 1", "Mar 2"]
    assert "A dotted line marks where idle time (10 h 48 min) is left out." in panel.caption


def test_ticks_of_many_launches_keep_apart(shelf: Shelf) -> None:
    view = shelf.study(n_trials=1)
    trial_id = view.trials[0].trial_id
    parts = [segment(1440 * day, 1440 * day + 5, trial_id=trial_id) for day in range(20)]
    panel = drawn(view, *parts)
    assert len(panel.figures[0].layout.xaxis.rangebreaks) == 19
    assert 2 <= len(panel.figures[0].layout.xaxis.ticktext) <= 6
    assert "19 dotted lines mark where idle time (up to 23 h 53 min)" in panel.caption


def test_without_idle_time_the_axis_is_plotlys(shelf: Shelf) -> None:
    view = shelf.study(n_trials=4)
    ids = [trial.trial_id for trial in view.trials]
    panel = drawn(view, segment(0, 50, trial_id=ids[0]), segment(52, 90, trial_id=ids[1]))
    assert not panel.figures[0].layout.xaxis.rangebreaks
    assert panel.figures[0].layout.xaxis.ticktext is None
    assert "idle" not in panel.caption
