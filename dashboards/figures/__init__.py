"""Figures drawn with plotly from `dashboards.numbers`, which does the arithmetic."""
