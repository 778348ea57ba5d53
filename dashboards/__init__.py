"""Figures and pages over a study store: reads `storage`, trains nothing."""
