"""Ten classes of digits by a small CNN, searched with Optuna alone: TPE, ASHA, 16 trials."""

import os

import optuna
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

EPOCHS = 9
torch.set_num_threads(1)


def data():
    found = load_digits()
    x = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(found.target)
    order = torch.randperm(1297, generator=torch.Generator().manual_seed(1000))
    train, val = order[130:], order[:130]
    return x[train], y[train], x[val], y[val]


def network(width, dropout):
    first = (nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(
        *first, *second, nn.Flatten(), nn.Dropout(dropout), nn.Linear(8 * width, 10)
    )


def objective(trial):
    high = float(os.environ.get("HIGH", "3e-2"))
    lr = trial.suggest_float("learning_rate", 3e-4, high, log=True)
    width = trial.suggest_int("width", 4, 32, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.6)
    torch.manual_seed(1000)
    x, y, val_x, val_y = data()
    model = network(width, dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    best = float("inf")
    for epoch in range(1, EPOCHS + 1):
        model.train()
        for rows in torch.randperm(len(y)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(val_x)
            loss = F.cross_entropy(logits, val_y).item()
            error = (logits.argmax(dim=1) != val_y).float().mean().item()
        best = min(best, error)
        print(f"trial {trial.number} epoch {epoch} loss {loss:.3g} error {error:.3f}", flush=True)
        trial.report(error if loss == loss else loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best if loss == loss else loss


study = optuna.create_study(
    study_name="digits",
    storage="sqlite:///optuna.db",
    load_if_exists=True,
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
)
finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
study.optimize(objective, callbacks=[optuna.study.MaxTrialsCallback(16, states=finished)])
print(study.best_params, study.best_value)
