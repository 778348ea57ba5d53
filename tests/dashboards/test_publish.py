"""Figures and note in Optuna Dashboard: small, replaced when published again, a person's kept."""

from __future__ import annotations

import json
import re
from typing import Any

import optuna
import optuna_dashboard
import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

import dashboards.publish
from dashboards.note import merge_note
from dashboards.numbers.study.view import read_study
from dashboards.publish import (
    MAX_PIECES,
    PIECE_LENGTH,
    main,
    publish,
    published_figures,
)
from space.errors import StorageError, StudyNotFoundError
from space.terminal.command import EXIT_DONE
from storage import Store
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study


def attributes(store: Store, study: optuna.Study) -> dict[str, Any]:
    return store.optuna_storage.get_study_system_attrs(study._study_id)


def kept(store: Store, name: str = "made") -> tuple[dict[str, str], str]:
    """The figures' JSON by id and the note, as Optuna Dashboard reads them."""
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    return get_plotly_graph_objects(attributes(store, study)), optuna_dashboard.get_note(study)


def n_trials(figure: dict[str, Any]) -> int:
    """How many trials have a point in a figure."""
    return len(
        {
            data[0]
            for trace in figure["data"]
            if trace.get("mode") == "markers"
            for data in trace.get("customdata", ())
        }
    )


@pytest.fixture
def search(store: Store) -> Store:
    """A store with a study that has ended and is confirmed."""
    add_study(store, n_trials=100, confirmed=True)
    return store


def test_figures_are_kept_as_they_are_drawn(search: Store) -> None:
    done = publish(search, "made")
    figures, _ = kept(search)
    assert figures.keys() == done.figures.keys()
    assert {"history", "learning-curves", "contour", "slices", "importances"} <= figures.keys()
    history = json.loads(figures["history"])
    assert n_trials(history) == 100
    assert history["layout"]["title"]["text"].startswith("<b>How the search went</b><br>")
    assert "height" not in history["layout"]
    for key, text in figures.items():
        assert -(-len(text) // PIECE_LENGTH) == done.figures[key] <= MAX_PIECES


def test_the_note_holds_plan_best_config_and_verdict(search: Store) -> None:
    publish(search, "made")
    _, note = kept(search)
    view = read_study(search, "made")
    assert view.best is not None
    assert view.confirmation is not None
    for heading in ("Plan", "How it went", "Best config", "Verdict"):
        assert f"\n\n## {heading}\n\n" in note
    assert "asha, rungs at 3, 9" in note
    assert f"The best is trial {view.best.number} " in note
    assert f"trial {view.confirmation.winner.trial_number} does best" in note


def test_without_confirmation_the_note_says_so(store: Store) -> None:
    add_study(store, n_trials=30, running=True)
    publish(store, "made")
    assert "Not confirmed on fresh seeds yet." in kept(store)[1]


def test_publishing_again_replaces(store: Store) -> None:
    add_study(store, n_trials=100)
    publish(store, "made")
    before, note = kept(store)
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    stored = attributes(store, study)
    publish(store, "made")
    assert kept(store) == (before, note)
    assert attributes(store, study) == stored
    asked = study.ask()
    study.tell(asked, 0.001)
    publish(store, "made")
    after, _ = kept(store)
    assert after.keys() == before.keys()
    assert n_trials(json.loads(after["history"])) == 101


def test_what_a_person_wrote_stays(search: Store) -> None:
    study = optuna.load_study(study_name="made", storage=search.optuna_storage)
    optuna_dashboard.save_note(study, "Look at *trial 7*.")
    publish(search, "made")
    _, first = kept(search)
    assert first.startswith("Look at *trial 7*.\n\n[begin]: # (")
    optuna_dashboard.save_note(study, f"Above.\n\n{first}\n\nBelow.")
    publish(search, "made")
    _, second = kept(search)
    assert second == f"Above.\n\n{first}\n\nBelow."


def test_merging_notes() -> None:
    once = merge_note("", "one")
    assert merge_note(once, "two") == once.replace("one", "two")
    assert merge_note("  \n", "one") == once
    # Half of our part is no part of ours: whoever cut it wanted the rest to stay.
    half = once.partition("[end]")[0]
    assert merge_note(half, "two").startswith(half.rstrip())


def test_figures_of_many_trials_stay_small(store: Store) -> None:
    add_study(store, n_trials=800, hostile=True, confirmed=True)
    done = publish(store, HOSTILE)
    assert not done.left_out
    assert max(done.figures.values()) <= MAX_PIECES
    assert sum(done.figures.values()) + done.note_pieces <= 200


def test_a_figure_that_cannot_be_small_is_left_out(
    search: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboards.publish, "MAX_PIECES", 3)
    figures, left_out = published_figures(read_study(search, "made"))
    assert "slices" in left_out
    assert "parallel-coordinates" in figures
    assert not figures.keys() & set(left_out)
    for figure in figures.values():
        assert len(figure.to_json()) <= 3 * PIECE_LENGTH


def test_names_are_text_in_the_note_and_the_figures(store: Store) -> None:
    add_study(store, n_trials=60, hostile=True, confirmed=True)
    publish(store, HOSTILE)
    figures, note = kept(store, HOSTILE)
    assert r"\<img" in note
    assert not re.search(r"(?<!\\)<", note)
    assert not any("<img" in text for text in figures.values())
    assert store.optuna_storage.get_n_trials(store.study_id(HOSTILE)) == 60


def test_an_empty_study_gets_a_note_alone(store: Store) -> None:
    add_study(store, n_trials=0)
    done = publish(store, "made")
    assert done.figures == {}
    figures, note = kept(store)
    assert figures == {}
    assert "No trial has begun yet." in note


def test_two_objectives_are_published_too(store: Store) -> None:
    add_study(store, n_trials=60, two_objectives=True)
    assert "pareto-front" in publish(store, "made").figures
    assert "on the Pareto front" in kept(store)[1]


def test_the_command(search: Store, capsys: pytest.CaptureFixture[str]) -> None:
    storage = str(search.url.database)
    assert main(["--study", "made", "--storage", storage]) == EXIT_DONE
    assert capsys.readouterr().out.startswith("study 'made' in sqlite:///")
    assert main(["--study", "made", "--storage", storage, "--format", "json"]) == EXIT_DONE
    said = json.loads(capsys.readouterr().out)
    assert said["study"] == "made"
    assert said["figures"].keys() == kept(search)[0].keys()
    with pytest.raises(StudyNotFoundError, match="made"):
        main(["--study", "mode", "--storage", storage])
    with pytest.raises(StorageError, match="no such file"):
        main(["--study", "made", "--storage", storage + ".absent"])
