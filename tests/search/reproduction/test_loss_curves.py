"""Loss curves: their numbers, and their drawing."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
import pytest

from dashboards.numbers.learning_curves import Band, Curves, learning_curves
from dashboards.numbers.results import collect
from search.benchmark.configs import benchmark_configs
from search.reproduction.charts import curves_svg
from search.reproduction.document import Document
from storage import Store
from tests.search.results_store import add_run, begin_launch
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

from .conftest import MLP


class TestCurves:
    def curves(self, store: Store, *losses: Sequence[tuple[float, float]]) -> Curves:
        launch_id = begin_launch(store)
        for seed, run in enumerate(losses):
            add_run(store, launch_id, MLP, seed, (0.1, 0.1, 0.1), losses=run)
        found = learning_curves(
            store, collect(store, benchmark_configs([MLP], range(10)))[0], DIGIT_PAIRS
        )
        assert found is not None
        return found

    def test_mean_and_band_over_seeds(self, store: Store) -> None:
        curves = self.curves(store, [(0.6, 0.9), (0.2, 0.8)], [(0.8, 0.7), (0.3, 0.2)])
        assert curves.n_seeds == 2
        assert curves.epoch_E.tolist() == [1, 2]
        assert curves.bands[0].mean_E == pytest.approx([0.7, 0.25])
        assert curves.bands[0].low_E.tolist() == [0.6, 0.2]
        assert curves.bands[0].high_E.tolist() == [0.8, 0.3]
        assert curves.bands[1].mean_E == pytest.approx([0.8, 0.5])
        assert (curves.bands[1].low_E[1], curves.bands[1].high_E[1]) == (0.2, 0.8)

    def test_epoch_without_a_finite_loss_is_a_gap(self, store: Store) -> None:
        run = [(0.6, 0.9), (0.2, math.nan), (0.1, 0.7), (0.1, 0.6)]
        curves = self.curves(store, run, [(0.6, 0.8)] * 4)
        assert np.isnan(curves.bands[1].mean_E).tolist() == [False, True, False, False]
        svg = curves_svg(curves, "t")
        assert "nan" not in svg
        # A line and a band each: one stretch of training loss, two of validation loss.
        assert svg.count('clip-path="url(#plot)"') == 3

    def test_no_seed_no_curves(self, store: Store) -> None:
        (result,) = collect(store, benchmark_configs([MLP], range(2)))
        assert learning_curves(store, result, DIGIT_PAIRS) is None

    @pytest.mark.parametrize("n_epochs", [1, 2, 25, 200])
    @pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 40.0])
    def test_drawing_is_well_formed_and_inside_its_frame(self, n_epochs: int, scale: float) -> None:
        mean = scale * np.linspace(1.0, 0.5, n_epochs)
        bands = (Band(metric, mean, 0.5 * mean, 3 * mean) for metric in DIGIT_PAIRS.curves)
        curves = Curves(2, np.arange(1, n_epochs + 1), tuple(bands))
        svg = curves_svg(curves, "A < B & 'C' \"日本\"")
        assert svg == curves_svg(curves, "A < B & 'C' \"日本\"")
        root = ET.fromstring(svg)
        name = "{http://www.w3.org/2000/svg}"
        assert root.findtext(f"{name}title") == "A < B & 'C' \"日本\""
        labels = [element.text or "" for element in root.iter(f"{name}text")]
        assert {"1", str(n_epochs) if n_epochs < 3 else "1", "0", "epoch"} <= set(labels)
        lines = [e.get("d", "") for e in root.iter(f"{name}path") if e.get("stroke-linecap")]
        assert len(lines) == 2
        points = [list(map(float, p.split())) for p in lines[0][1:].removesuffix("h0").split("L")]
        assert len(points) == n_epochs
        assert all(64 <= x <= 624 and 60 <= y <= 312 for x, y in points)
        assert points[0][1] <= points[-1][1]  # A falling loss goes down the page.

    def test_figure_3_comes_first(self, document: Document) -> None:
        figures = re.findall(r"\]\(figures/(.*?)\)", document.text)
        assert figures == [
            "table-i-2-deepconvnet.svg",
            "table-i-3-siamese-aux.svg",
            "table-i-1-mlp-small.svg",
        ]
        assert figures == list(document.figures)
