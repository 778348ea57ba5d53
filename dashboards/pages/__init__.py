"""The pages of `python -m dashboards.serve`: what they say, how they look, who may see them."""
