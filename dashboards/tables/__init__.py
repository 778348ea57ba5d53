"""Tables of benchmarks: as text, Markdown, LaTeX, CSV and JSON."""

FORMATS = ("text", "markdown", "latex", "csv", "json")
"""Of a benchmark's table; a command that only says so loads nothing else."""
