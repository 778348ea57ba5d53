"""The export: the file is complete, says what it rests on, and trains the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from search.export.config_text import config_text, write_configs
from search.export.write import export_study
from search.launch.plan import Plan
from search.trials.feasible import resolved
from space import ConfigFile, load_configs, parse_tree
from space.files.reader import parse_yaml
from space.words import count
from storage import Store
from tests.harness.configs import PairsNamed, open_run
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.resolve import resolve_config

from ..conftest import ASHA, best_first, search

MakePlan = Callable[..., Plan]


def test_the_best_complete_trial_is_written_whole(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_for(pruner=ASHA, budget={"trials": 30})
    study = search(plan, store)
    best = best_first(study)[0]
    path = command()
    printed = capsys.readouterr().out
    assert (
        f"closed trial {best}: val_error {100 * (study.trials[best].value or 0):.2f} %" in printed
    )
    assert str(path) in printed
    assert f"python -m search.benchmark --config {path} --fresh-seeds" in printed

    (named,) = load_configs(path).configs
    assert named.config == resolved(plan.space, study.trials[best].params)
    n_complete = len(best_first(study))
    assert n_complete < 30
    provenance = named.provenance
    assert (
        provenance["selection"] == f"best of {count(n_complete, 'complete trial')} on one seed each"
    )
    assert provenance["study"] == "closed"
    assert provenance["storage"] == store.name
    assert provenance["trial"] == best
    assert provenance["state"] == "COMPLETE"
    assert provenance["params"] == study.trials[best].params
    assert provenance["objectives"] == [
        {"metric": "val_error", "direction": "minimize", "value": study.trials[best].value}
    ]
    assert provenance["seeds"] == {
        "data_seed": 1000,
        "training_seed": 1000,
        "sampler_seed": 0,
    }
    assert provenance["rerun"] == f"python -m search.benchmark --config {path} --fresh-seeds"

    # Every setting stands in the file, whatever its default, and no machine's directory does.
    text = path.read_text()
    for section in (named.config.model_dump()[key] for key in type(named.config).sections()):
        assert all(f"\n    {key}:" in text or f"\n      {key}:" in text for key in section)
    assert "*" not in text
    assert "&" not in text


def test_provenance_is_the_launchs(plan_for: MakePlan, store: Store, tmp_path: Path) -> None:
    plan = plan_for(sampler={"name": "random", "seed": 7}, budget={"trials": 2})
    provenance = replace(
        plan.provenance,
        # All digits and an e: a number to a careless writer.
        git_commit="1234567890e12345678901234567890123456789",
        git_dirty=True,
        versions={"python": "3.11.2", "torch": "2.9.0+cpu"},
        hardware={"processor": "A Processor: fast # yes", "gpus": [], "cpus": 2},
    )
    search(replace(plan, provenance=provenance), store)
    file = export_study(store, "closed", rerun="again")
    found = file.configs[0].provenance
    assert found["code"] == {"git_commit": provenance.git_commit, "git_dirty": True}
    assert found["libraries"] == provenance.versions
    assert found["hardware"] == {"processor": "A Processor: fast # yes", "gpus": []}
    assert found["seeds"]["sampler_seed"] == 7
    assert found["data"] == {"source": "none", "fingerprint": "none"}
    path = tmp_path / "x.yaml"
    write_configs(path, config_text(file))
    assert load_configs(path) == file


def test_retraining_the_file_gives_the_stores_epochs_to_the_bit(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    plan = plan_for(
        study="tiny",
        model={"name": "siamese-aux", "width": 2},
        data={"source": "digits", "n_train_pairs": 60, "data_seed": 1000},
        training={"epochs": 2, "batch_size": 20, "training_seed": 1000},
        budget={"trials": 2},
    )
    study = search(plan, store)
    path = command(study="tiny")
    (named,) = load_configs(path).configs
    assert named.provenance["data"] == {
        "source": "digits",
        "fingerprint": store.study_records()[study._study_id].data_fingerprint,
    }
    assert named.provenance["seeds"]["training_seed"] == 1000
    assert resolve_config(named.config) == named.config
    trial = study.trials[named.provenance["trial"]]
    runs = store.runs(study._study_id, "search")
    (run,) = [run for run in runs if run.trial_id == trial._trial_id]
    stored = store.epochs([run.run_id])[run.run_id]
    again = open_run(named.config)
    assert again.fingerprint == named.provenance["data"]["fingerprint"]
    retrained = [again.run_epoch() for _ in range(2)]
    assert [(e.epoch, e.metrics) for e in retrained] == [(e.epoch, e.metrics) for e in stored]
    assert min(epoch["val_error"] for epoch in retrained) == trial.value
    assert DigitPairsConfig.model_validate(run.config).data.root is None
    assert "root: null" in path.read_text()
    other = next(run for run in runs if run.trial_id != trial._trial_id)
    assert retrained[0]["train_loss"] != store.epochs([other.run_id])[other.run_id][0]["train_loss"]


def test_replicates_are_counted_and_the_first_one_is_the_config(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(replicates=3, budget={"trials": 4})
    study = search(plan, store)
    (named,) = export_study(store, "closed", rerun="again").configs
    provenance = named.provenance
    assert provenance["selection"] == "best of 4 complete trials on 3 seeds each"
    assert provenance["objectives"][0]["standard_error"] > 0
    assert named.config == resolved(plan.space, study.trials[provenance["trial"]].params)


def test_credentials_stay_out(plan_for: MakePlan, store: Store) -> None:
    search(plan_for(budget={"trials": 1}), store)
    store.url = sa.make_url(
        "postgresql+psycopg://anna:hunter2@db.example/searches?sslpassword=hunter3"
    )
    text = config_text(export_study(store, "closed", rerun="again"))
    assert "db.example" in text
    assert "hunter" not in text


PLAIN = st.text(st.characters(codec="utf-8"), max_size=20)
TRICKY = st.sampled_from(
    ["1e5", "12e3", "0o17", "0x1F", "no", "null", "", " x", "- a", "a: b", "#", "010", "~", "1_000"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | PLAIN
    | TRICKY
)


@given(
    st.dictionaries(
        st.text("abc: #-1e", min_size=1, max_size=8),
        st.recursive(
            SCALARS,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(TRICKY | st.text("xyz"), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read_back(provenance: dict[str, Any]) -> None:
    named = PairsNamed(
        name="1e5", model=ModelConfig(name="mlp", options={"x": 1e-05}), provenance=provenance
    )
    file = ConfigFile.of_configs("no", [named])
    tree = parse_yaml(config_text(file, "a comment\nof two lines"), "x.yaml")
    assert parse_tree(ConfigFile, tree, "x.yaml") == file
