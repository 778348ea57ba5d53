"""The section on the weight of the auxiliary loss."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from search.reproduction.aux_weight import grid_section
from search.reproduction.document import reproduction
from storage import Store
from tests.search.results_store import add_runs, begin_launch

from .conftest import MLP, TABLE_I, begin_grid


class TestGrid:
    def test_not_yet_run(self, store: Store) -> None:
        text, figures = grid_section(store)
        assert "Not yet run: no run of a study `aux-weight-grid` is complete." in text
        begin_grid(store, "aux-weight-grid", {})
        assert "Not yet run" in grid_section(store)[0]
        assert figures == {}

    def test_points_are_shown_with_their_provenance(self, store: Store) -> None:
        errors = {0.5: [0.30, 0.31, 0.32], 0.6: [0.10, 0.11, 0.12], 0.7: [0.20, 0.21, 0.22]}
        begin_grid(store, "aux-weight-grid-128", errors)
        begin_grid(store, "another", {0.6: [0.4]})
        document = reproduction(store, [TABLE_I])
        assert "**Study aux-weight-grid-128: width 8, 3 epochs**" in document.text
        assert "| 0.6 | 11.00 |" in document.text
        assert "3 complete trials in the store" in document.text
        (figure,) = [name for name in document.figures if name.startswith("aux-weight-grid")]
        assert f"](figures/{figure})" in document.text
        root = ET.fromstring(document.figures[figure])
        name = "{http://www.w3.org/2000/svg}"
        heights = [float(circle.get("cy", "")) for circle in root.iter(f"{name}circle")]
        # Errors of 0.31, 0.11 and 0.21: equally far from each other, the lowest one lowest down.
        assert heights[1] - heights[2] == pytest.approx(heights[2] - heights[0], abs=0.2)
        assert heights[1] > heights[2] > heights[0]
        colours = [circle.get("fill") for circle in root.iter(f"{name}circle")]
        assert colours[0] == colours[2] != colours[1]
        assert "s.db" not in document.text
        assert re.search(
            r"\| aux-weight-grid-128 \| siamese-aux \| 1000-1002 \| 1 \|", document.text
        )
        grid = document.text.partition("## Weight of")[2].partition("\n## ")[0]
        assert "another" not in grid

    def test_another_width_than_the_reports_is_owned_up_to(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin_grid(store, "aux-weight-grid", {0.5: [0.3, 0.31], 0.6: [0.1, 0.11]})
        assert "The report's networks have width 128, 16 times this" in grid_section(store)[0]
        monkeypatch.setattr("search.reproduction.aux_weight.REPORTED_WIDTH", 8)
        assert "The report's networks" not in grid_section(store)[0]

    def test_grids_of_several_widths_stand_side_by_side(self, store: Store) -> None:
        near = {0.6: [0.1 + 0.01 * seed for seed in range(10)]}
        narrow = {0.0: [error + 0.05 for error in near[0.6]], **near, 0.7: near[0.6]}
        wide = {0.3: [error - 0.02 + 0.04 * (error < 0.13) for error in near[0.6]], **near}
        begin_grid(store, "aux-weight-grid-16", wide, width=16)
        assert "by the width of the networks" not in grid_section(store)[0]
        begin_grid(store, "aux-weight-grid-8", narrow)
        table = grid_section(store)[0].partition("by the width of the networks**")[2]
        rows = [line for line in table.partition("\n**")[0].splitlines() if "| 14.50 " in line]
        assert rows == [
            "| - | 8 | 14.50 ± 3.03 | 0.6 | +5.00 | - | 0 |",
            "| - | 16 | 14.50 ± 3.03 | 0.3 | - | - | none |",
        ]

    def test_what_was_known_when_it_began_is_said(self, store: Store) -> None:
        add_runs(store, begin_launch(store), MLP, {0: 0.2, 1: 0.3})
        begin_grid(store, "aux-weight-grid", {0.5: [0.3, 0.31], 0.6: [0.1, 0.11]})
        begin_grid(store, "aux-weight-grid-64", {})
        known = (
            reproduction(store, [TABLE_I])
            .text.partition("### What was known when")[2]
            .partition("\n## ")[0]
        )
        (row,) = [line for line in known.splitlines() if line.startswith("| aux-weight-grid |")]
        assert row.endswith("| the study itself | 2 runs of 1 config, seeds 0-1 |")
        assert "| aux-weight-grid-64 |" not in known

    @pytest.mark.parametrize(
        ("errors", "parameter"),
        [
            ({0.6: [0.1]}, "learning_rate"),
            ({0.6: [0.1]}, "aux_weight"),
            ({0.2: [0.3], 0.4: [0.2]}, "aux_weight"),
        ],
    )
    def test_study_without_a_curve_yet_says_what_is_missing(
        self, store: Store, errors: dict[float, list[float]], parameter: str
    ) -> None:
        begin_grid(store, "aux-weight-grid", errors, parameter=parameter)
        text, figures = grid_section(store)
        assert (
            "Not shown: a curve takes two complete trials that differ in aux\\_weight alone, and "
            "one at 0.6 to compare with.\n"
        ) in text
        assert "--" not in text
        assert figures == {}
