"""Words of pages are explained where they stand first, and nowhere else."""

from __future__ import annotations

import re

import pytest

from dashboards.glossary import explained
from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.documents import Document
from dashboards.pages.study_page import study_document
from storage import Store
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.reported_benchmark import made_benchmark


def test_a_word_is_explained_once_and_not_in_commands_names_or_links() -> None:
    (first, second), words = explained(
        (
            "<p><code>--baseline</code> <a href='#'>rung</a> <svg><title>margin</title></svg></p>",
            '<p title="a baseline">Baselines? The Baseline, the baseline &amp; its rungs.</p>',
        )
    )
    assert "word-" not in first
    assert [word for word, _ in words] == ["baseline"]
    assert second.count("<a ") == 1
    assert ">Baseline</a>, the baseline &amp;" in second
    assert 'title="a baseline"' in second


@pytest.mark.parametrize("kind", ["study", "benchmark"])
def test_every_explained_word_of_a_page_has_its_place_on_it(store: Store, kind: str) -> None:
    document: Document
    if kind == "study":
        add_study(store, "made", 20, confirmed=True)
        document = study_document(store, "made")
    else:
        record = made_benchmark(store, {"MLP": {1: 0.3}, "Siamese": {1: 0.2}}, n_seeds=7)
        document = benchmark_document(store, record)
    page = document.as_json().decode()
    linked = re.findall(r'href=\\"#(word-[a-z0-9-]+)\\"', page)
    assert len(linked) >= 2
    assert len(linked) == len(set(linked))
    assert all(page.count(f'id=\\"{each}\\"') == 1 for each in linked)
