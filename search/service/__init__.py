"""The service: a queue of launches and benchmarks in the store, and the agents that run them."""
