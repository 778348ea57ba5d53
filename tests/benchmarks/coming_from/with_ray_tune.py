"""The same search with Ray Tune and its OptunaSearch: TPE, ASHA, 16 trials."""

import os
from pathlib import Path

import optuna
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

EPOCHS = 9


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


def train(config):
    torch.set_num_threads(1)
    torch.manual_seed(1000)
    x, y, val_x, val_y = data()
    model = network(config["width"], config["dropout"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"])
    best = float("inf")
    for _ in range(EPOCHS):
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
        tune.report({"error": best if loss == loss else loss})


high = float(os.environ.get("HIGH", "3e-2"))
folder = Path("ray_results").resolve()
if tune.Tuner.can_restore(str(folder / "digits")):
    tuner = tune.Tuner.restore(str(folder / "digits"), train, restart_errored=True)
else:
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={
            "learning_rate": tune.loguniform(3e-4, high),
            "width": tune.lograndint(4, 33),
            "dropout": tune.uniform(0.0, 0.6),
        },
        tune_config=tune.TuneConfig(
            metric="error",
            mode="min",
            num_samples=16,
            search_alg=OptunaSearch(sampler=optuna.samplers.TPESampler(seed=0)),
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
        ),
        run_config=tune.RunConfig(name="digits", storage_path=str(folder)),
    )
results = tuner.fit()
best = results.get_best_result()
print(best.config, best.metrics["error"])
