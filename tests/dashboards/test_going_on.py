"""The command that a benchmark's page proposes trains what is missing of it."""

from __future__ import annotations

import dataclasses
import html
import re
import shlex

import pytest

from dashboards.going_on import benchmark_command, search_command
from dashboards.pages.benchmark_page import benchmark_document
from space import Space
from storage import Store
from storage.benchmarks import benchmark_name, config_changes
from storage.commands.command_line import command_line
from tests.dashboards.made.bulk_study import space_config
from tests.dashboards.made.reported_benchmark import (
    add_result,
    begin_launch,
    benchmark_config,
    made_benchmark,
    save,
)

BENCHMARK = "python -m search.benchmark"
PYTHON = shlex.split(command_line("search.benchmark", []))[0]


def launched(store: Store, options: str, **config: object) -> None:
    """A launch that trained seed 0 of MLP and ended."""
    launch_id = begin_launch(store, command=f"{BENCHMARK} {options}", config=config)
    add_result(store, launch_id, benchmark_config("MLP", n_seeds=7), 0, 0.3)
    store.end_launch(launch_id, "done")


def test_no_command_is_shown_that_would_begin_no_trial() -> None:
    command = "python -m search.launch --space a.yaml"
    for budget, status, expected in (
        ({"trials": 5}, "done", f"{command} --trials 10"),
        ({"trials": 5}, "time limit", command),
        ({"trials": 5}, "plateau", None),
        ({"trials": 5, "epochs": 9}, "done", None),
        ({"trials": 5, "epochs": 9}, "interrupted", command),
    ):
        space = Space.recorded(space_config(budget=budget))
        found = search_command(command, status, space)
        assert (found and found.text) == expected


def test_the_page_shows_what_trains_the_missing_seeds(store: Store) -> None:
    record = made_benchmark(store, {"MLP": {1: 0.3}, "Siamese": {}}, n_seeds=7)
    launched(
        store,
        "--config t.yaml --seeds 1 --only MLP --concurrency 1 --storage sqlite:///elsewhere.db",
    )
    summary = benchmark_document(store, record).lead
    (box,) = re.findall(r"<pre[^>]*><code>(.*?)</code>", summary)
    words = [PYTHON, "-m", "search.benchmark", "--config", "t.yaml", "--seeds", "7"]
    assert shlex.split(html.unescape(box)) == [*words, "--storage", store.name]


@pytest.mark.parametrize(
    ("name", "options", "kept"),
    [
        ("t", "--config a.yaml 'b c.yaml' --only x", "--config a.yaml 'b c.yaml' --seeds 7"),
        (
            "t --set k=1 --epochs 3 --augment",
            "--augment --epochs=3 --config a.yaml --set k=1 --time-limit 1h --checkpoints d",
            "--config a.yaml --set k=1 --epochs 3 --augment --seeds 7 --checkpoints d",
        ),
        ("t", "--config a.yaml --epochs 3", None),
        ("t --epochs 3", "--config a.yaml", None),
        ("t", "--curves a.json", None),
        ("t --set", "--config a.yaml --set nothing", None),
        ("t --epochs many", "--config a.yaml --epochs many", None),
    ],
)
def test_what_the_command_keeps_of_a_launch(
    store: Store, name: str, options: str, kept: str | None
) -> None:
    record = save(store, [benchmark_config("MLP", n_seeds=7)], name=name)
    launched(store, options)
    found = benchmark_command(record, store.launches(), store.name)
    if kept is None:
        assert found is None
    else:
        assert found == command_line(
            "search.benchmark", [*shlex.split(kept), "--storage", store.name]
        )


def test_a_name_that_was_cut_short_is_known_again(store: Store) -> None:
    settings = [f"data.root={letter * 70}" for letter in "abcd"]
    changes = config_changes(settings, epochs=3, augment=True)
    name = benchmark_name(["t"], changes)
    assert len(name) == 255
    record = save(store, [benchmark_config("MLP", n_seeds=7)], name=name)
    given = " ".join(f"--set {each}" for each in settings)
    launched(store, f"--config a.yaml {given.replace('aa', 'ee')} --epochs 3 --augment")
    assert benchmark_command(record, store.launches(), store.name) is None
    launched(store, f"--config b.yaml {given} --epochs 3 --augment")
    found = benchmark_command(record, store.launches(), store.name)
    assert found is not None
    assert " --config b.yaml " in found


def test_launches_that_say_of_which_benchmark_they_are(store: Store) -> None:
    configs = [benchmark_config("MLP", n_seeds=7), benchmark_config("ResNet", n_seeds=7)]
    record = save(store, configs, name="both", reference="ResNet")
    launched(store, "--config both.yaml", benchmark="both")
    launched(store, "--config mlp.yaml", benchmark="mlp")
    found = benchmark_command(record, store.launches(), store.name)
    assert found is not None
    assert " --config both.yaml --seeds 7 --reference ResNet " in found
    other = dataclasses.replace(record, name="other")
    assert benchmark_command(other, store.launches(), store.name) is None
