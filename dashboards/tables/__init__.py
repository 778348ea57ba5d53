"""Tables of benchmarks: as text, Markdown, LaTeX, CSV and JSON."""
