"""All trials of a study, or all runs of a benchmark, as rows that are filtered and sorted."""
