"""Data, models, losses and the training loop: plain PyTorch, without Ray, Optuna or SQL."""
