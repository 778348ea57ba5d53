"""Where the reproduction's numbers come from: machines, code, libraries, data, seeds, dates."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.numbers.tables import BenchmarkTable
from dashboards.tables.drawing import draw
from dashboards.tables.provenance import launches_sheet, runs_sheet, versions_sheet
from search.reproduction.aux_weight import grid_runs
from search.reproduction.searches import Searches, traced_searches
from storage import Store

__all__ = ["provenance_section"]

_OPENING = """\
## Where the numbers come from

A row's runs by launch; the launches' machines, code and data are below. A run that was stopped and
went on counts for the launch that finished it. Dates are UTC. The data's fingerprint is of the
training and the test images for a benchmark's launch, of the training images for a search's.
"""


def provenance_section(
    store: Store, tables: Mapping[str, BenchmarkTable], searches: Searches
) -> str:
    """Trace every number of some tables to the launches that trained it.

    Args:
        store: The store that the tables are from.
        tables: What a table is called -> the table.
        searches: The searches and benchmarks of the store.

    Returns:
        The section, in Markdown.
    """
    traced = [
        (label, row.name, found.run)
        for label, table in tables.items()
        for row in table.rows
        for found in row.result.seeds.values()
    ]
    traced += [
        (study, run.config["model"]["name"], run)
        for study, complete in grid_runs(store).items()
        for run in complete
    ]
    traced += traced_searches(store, searches)
    if not traced:
        return f"{_OPENING}\nNo run has finished yet.\n"
    used = {run.launch_id for *_, run in traced}
    launches = [launch for launch in store.launches() if launch.launch_id in used]
    sheets = (runs_sheet(traced), launches_sheet(launches, traced), versions_sheet(launches))
    return "\n".join([_OPENING, *(draw(sheet, "markdown") for sheet in sheets)])
