"""A notebook: its cells are run by a real kernel, and what stands below them is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
import ray
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.search.conftest import SPACE

pytestmark = pytest.mark.slow

NOTEBOOK = """
import _thread, threading, time
import search

def stop():
    url = "sqlite:///n.db"
    while not is_running(url):
        time.sleep(0.2)
    _thread.interrupt_main()  # As the button does that stops a cell.

def is_running(url):
    try:
        return search.open_study("closed", storage=url).counts["COMPLETE"] > 0
    except search.UserError:
        return False

threading.Thread(target=stop, daemon=True).start()
study = search.launch(SPACE, storage="sqlite:///n.db", ray_address=ADDRESS)
print(study.ended)
---
study
---
search.launch("lanch")
"""
SLOW = {
    **SPACE,
    "training": {"epochs": 4},
    "trainable": "closed-form",
    "options": {"sleep": 0.2},
    "budget": {"trials": 1000},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_search_in_a_notebook_is_shown_and_stopped_there(tmp_path: Path, one_ray: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    address = ray.get_runtime_context().gcs_address
    cells = [f"SPACE, ADDRESS = {SLOW!r}, {address!r}", *NOTEBOOK.split("---\n")]
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    with pytest.raises(CellExecutionError, match="lanch: no such file"):
        client.execute()
    _, launched, shown, _ = (cell["outputs"] for cell in notebook.cells)
    said = text_of(launched)
    assert "study 'closed'" in said
    assert said.strip().endswith("interrupted")
    assert not any("text/html" in data for data in data_of(launched))  # The table was taken down.
    first, *figures = data_of(shown)
    assert "<iframe" in first["text/html"]
    assert "fresh seeds" in first["text/plain"]
    assert len(figures) == 2
    assert all("application/vnd.plotly.v1+json" in figure for figure in figures)


def text_of(outputs: list[Any]) -> str:
    return "".join(each["text"] for each in outputs if each["output_type"] == "stream")


def data_of(outputs: list[Any]) -> list[dict[str, Any]]:
    return [each["data"] for each in outputs if "data" in each]
