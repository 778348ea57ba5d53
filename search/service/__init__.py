"""The service: commands of the queue of launches and benchmarks that a store has."""
