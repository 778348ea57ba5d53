"""How often what is said of results is right."""
