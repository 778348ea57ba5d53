"""What explains an error that is not consistent with the report's is measured, a row a setting."""

from __future__ import annotations

from search.benchmark.configs import benchmark_configs
from search.reproduction.document import Document, reproduction
from space import NamedConfig
from storage import Store
from tests.dashboards.made.reported_benchmark import save
from tests.search.results_store import add_run, add_runs, begin_launch, named_config

from .conftest import NEAR, REPORTED, paper

TRAINING = {"epochs": 3, "learning_rate": 1e-4, "weight_decay": 0.1}
OF_TESTS = {key: REPORTED[key] for key in ("source", "n", "test_error")}
RESNET = named_config(
    "ResNet", "resnet", reported={**OF_TESTS, "train_error": REPORTED["train_error"]}
)
TABLE = paper("I", RESNET, named_config("MLP", reported=OF_TESTS))


def wider(name: str, **training: object) -> NamedConfig:
    """The row's network at twice the width, with some settings of training replaced."""
    named = named_config(name, "resnet", training={**TRAINING, **training})
    return named.with_config(named.config.with_values({"model.width": 16}))


OURS = wider("ours")
SAME_ORDER = wider("same order", shuffle=False)
SLOWER = wider("slower", learning_rate=1e-5)
OTHER_NETWORK = named_config("other network", "convnet", training={**TRAINING, "shuffle": False})


def section(document: Document) -> list[str]:
    text = document.text.partition("## Where ours differ from the report")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_settings_of_the_authors_stand_below_the_difference_that_they_may_explain(
    store: Store,
) -> None:
    launch_id = begin_launch(store)
    add_runs(store, launch_id, TABLE.configs[1], NEAR)
    for seed in range(10):
        of_loss = {"test_error": 0.1 + 0.01 * (seed % 3), "train_error": 0.03}
        add_run(store, launch_id, RESNET, seed, (0.0, 0.05, 0.1), other=of_loss)
        for named, error in ((OURS, 0.2), (SAME_ORDER, 0.3), (SLOWER, 0.4), (OTHER_NETWORK, 0.5)):
            add_runs(store, launch_id, named, {seed: error + 0.001 * (seed % 2)})
    configs = benchmark_configs([OURS, SAME_ORDER, SLOWER, OTHER_NETWORK], range(10))
    save(store, configs, name="protocol", n_seeds=10)
    save(store, configs[1:], name="of another reference", n_seeds=10)
    heading, _, *of_train, to_explain, by_loss, order = section(reproduction(store, [TABLE]))
    assert "| row |" in heading
    tested = "| ResNet | test error (%) | reported minus ours | 8 | 10 | +12.00 | ["
    assert to_explain.startswith(tested)
    assert by_loss.startswith("|  |  | kept by loss | 8 | 10 | +0.90 | [")
    assert order.startswith("|  |  | same order | 16 | 10 | +10.00 | - | worse")
    trained = "| ResNet | train error (%) | reported minus ours | 8 | 10 | +5.00 | ["
    assert of_train[0].startswith(trained)
    assert of_train[1:] == [
        "|  |  | kept by loss | 8 | 10 | +3.00 | - | - |",
        "|  |  | same order | 16 | 10 | +10.00 | - | - |",
    ]


def test_where_all_are_consistent_it_says_so(store: Store) -> None:
    add_runs(store, begin_launch(store), TABLE.configs[1], NEAR)
    text = reproduction(store, [TABLE]).text
    assert "Every error is consistent with the report's" in text
    assert section(reproduction(store, [TABLE])) == []
