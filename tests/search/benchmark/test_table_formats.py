"""Benchmark tables in every format, read back."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from dashboards.numbers.tables import BenchmarkTable, benchmark_table
from dashboards.tables import FORMATS
from dashboards.tables.drawing import Sheet, draw, escape_latex, escape_markdown
from dashboards.tables.formats import render, report_sheet
from space.words import show_seeds
from storage import Store
from tests.search.results_store import named_config
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

from .conftest import BETTER, NASTY, REPORTED, TEN, filled


class TestFormats:
    def test_markdown_makes_no_links_of_names(self) -> None:
        assert escape_markdown("[a](b) [-0.1, 0.2]") == r"[a\](b) [-0.1, 0.2]"

    @pytest.mark.parametrize("format", FORMATS)
    def test_same_table_same_bytes(self, table: BenchmarkTable, format: str) -> None:
        drawn = render(table, format)
        assert drawn == render(table, format)
        assert drawn.endswith("\n")

    @pytest.mark.parametrize("format", FORMATS)
    def test_unfinished_benchmark_can_be_drawn(self, store: Store, format: str) -> None:
        results = filled(store, [(named_config("a"), {}), (named_config("b", "convnet"), {})])
        assert render(benchmark_table(results, DIGIT_PAIRS), format)

    def test_unknown_format_is_refused(self, table: BenchmarkTable) -> None:
        with pytest.raises(ValueError, match="yaml"):
            render(table, "yaml")

    def test_text_columns_line_up(self, table: BenchmarkTable) -> None:
        lines = render(table, "text").splitlines()
        assert lines[0] == "Table I, restated"
        header, mlp = lines[1], lines[2]
        test_error, heading = "30.45 ± 0.30", "test error (%)"
        assert header.index(heading) + len(heading) == mlp.index(test_error) + len(test_error)
        assert header.index("parameters") + 10 == mlp.index("9,235") + 5
        assert "1 of 10" in lines[4]
        assert "seeds not yet run: =one: 0-2, 4-9; none_yet: 0-9" in lines
        assert sum(line.startswith("better, worse: ") for line in lines) == 1
        (said,) = [line for line in lines if line.startswith("consistent: ")]
        floor = "a spread below the chance spread of the test samples"
        assert floor in said
        (others, *_) = report_sheet(table, others=True).notes
        assert others.endswith("Fewer than 5 seeds get no verdict")
        assert sum("the validation error is optimistic" in line for line in lines) == 1
        assert sum("all rows together: in 0 of 3 the test error" in line for line in lines) == 1

    def test_text_counts_wide_characters(self) -> None:
        sheet = Sheet(columns=("name", "n"), rows=[("日本", "1"), ("ab", "2")])
        assert draw(sheet, "text") == "name  n\n日本  1\nab    2\n"

    def test_markdown_rows_have_the_headings_cells(self, table: BenchmarkTable) -> None:
        blocks: list[list[list[str]]] = [[]]
        for line in render(table, "markdown").splitlines():
            if line.startswith("|"):
                blocks[-1].append(re.split(r"(?<!\\)\|", line)[1:-1])
            elif blocks[-1]:
                blocks.append([])
        found = [block for block in blocks if block]
        assert [len(block) for block in found] == [6, 6, 6]
        for block in found:
            assert len({len(cells) for cells in block}) == 1
            assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", block[3][0]).strip() == NASTY

    def test_reported_values_keep_their_decimals(self, store: Store) -> None:
        reported = {**REPORTED, "test_error": {"mean": 0.2, "std": 0.04335}}
        results = filled(store, [(named_config("a", reported=reported), {})])
        assert "20.00 ± 4.335" in render(benchmark_table(results, DIGIT_PAIRS), "text")

    def test_latex_is_balanced_and_escaped(self, table: BenchmarkTable) -> None:
        drawn = render(table, "latex")
        assert drawn.count(r"\begin{tabular}") == drawn.count(r"\end{tabular}") == 3
        for block in re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", drawn, re.DOTALL):
            alignment, *lines = block.strip().splitlines()
            n_columns = len(alignment.strip("{}"))
            rows = [line for line in lines if line.endswith(r"\\")]
            assert len(rows) == 5
            for row in rows:
                bare = re.sub(r"\\[{}&%$#_]", "", row)
                assert bare.count("&") == n_columns - 1
                assert bare.count("{") == bare.count("}")
                assert bare.count("$") % 2 == 0
                assert not set(re.sub(r"\$.*?\$", "", bare)) & set("%#_~^<>|±")
        assert r"$-$5.18" in drawn

    def test_latex_escapes(self) -> None:
        assert escape_latex("a_b & 5% \\ ± [x]") == (r"a\_b \& 5\% \textbackslash{} $\pm$ {[}x]")
        assert escape_latex("[-0.1, 1e-05] x-3") == r"{[}$-$0.1, 1e-05] x-3"

    def test_csv_holds_every_seeds_raw_values(self, table: BenchmarkTable) -> None:
        rows = list(csv.DictReader(io.StringIO(render(table, "csv"))))
        assert len(rows) == 21
        seeds = table.rows[1].result.seeds
        for row, (seed, found) in zip(rows[10:20], seeds.items(), strict=True):
            assert row["name"] == NASTY
            assert int(row["seed"]) == seed
            assert float(row["test_error"]) == BETTER[seed]
            assert int(row["run_id"]) == found.run.run_id
            assert row["config_hash"] == found.run.config_hash
        assert rows[0] | {"config_hash": "", "train_error": "", "val_error": ""} == {
            "name": "MLP",
            "seed": "0",
            "config_hash": "",
            "run_id": "1",
            "train_error": "",
            "val_error": "",
            "test_error": "0.3",
            "train_loss": "0.1",
            "val_loss": "0.2",
            "test_loss": "0.3",
            "best_epoch": "1",
            "train_seconds": "6.0",
            "launch_id": "1",
            "data_fingerprint": "f" * 16,
            "other_epoch": "",
            **{f"other_{metric.name}": "" for metric in DIGIT_PAIRS.metrics},
        }

    def test_json_holds_everything(self, table: BenchmarkTable) -> None:
        tree = json.loads(render(table, "json"))
        assert (tree["title"], tree["reference"]) == ("Table I, restated", "MLP")
        mlp, siamese, one, none = tree["rows"]
        assert siamese["name"] == NASTY
        assert siamese["comparison"]["paired"]["mean_difference"] == pytest.approx(-0.0518)
        assert siamese["comparison"]["paired"]["interval"][1] < 0
        assert siamese["verdict"] == "better"
        assert [seed["test_error"] for seed in siamese["seeds"]] == list(BETTER.values())
        assert mlp["test_error"]["mean"] == pytest.approx(0.3045)
        assert mlp["reported"]["source"] == "Table I"
        assert mlp["reported"]["test_error"]["comparison"]["difference"] == pytest.approx(0.0845)
        assert mlp["config"]["training"]["epochs"] == 3
        assert one["test_error"]["std"] is None
        together = tree["together"]["test_error"]
        assert (together["n_rows"], together["n_lower"]) == (3, 0)
        assert tree["best"] == NASTY
        assert (none["test_error"], none["train_seconds"], none["seeds"]) == (None, None, [])
        assert none["missing"] == list(range(10))

    def test_tiny_differences_have_no_negative_zero(self, store: Store) -> None:
        nearly = {seed: value - 1e-6 for seed, value in TEN.items()}
        results = filled(store, [(named_config("a"), TEN), (named_config("b", "convnet"), nearly)])
        assert "-0.0000" not in render(benchmark_table(results, DIGIT_PAIRS), "text")


@pytest.mark.parametrize(
    ("seeds", "shown"),
    [((), "no seeds"), ((4,), "4"), ((0, 1, 2), "0-2"), ((7, 0, 1, 5), "0-1, 5, 7")],
)
def test_seeds_are_shown_as_ranges(seeds: tuple[int, ...], shown: str) -> None:
    assert show_seeds(seeds) == shown
