"""Training a run: steps, epochs, errors."""
