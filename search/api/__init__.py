"""The commands as functions, `launch` and the others, and what they return."""

from search.api.asked import AskedTrial
from search.api.benchmarks import Benchmark, benchmark
from search.api.exports import export
from search.api.queue import submit
from search.api.studies import Study, launch, open_study
from search.api.verdicts import Verdict, verdict

__all__ = [
    "AskedTrial",
    "Benchmark",
    "Study",
    "Verdict",
    "benchmark",
    "export",
    "launch",
    "open_study",
    "submit",
    "verdict",
]
