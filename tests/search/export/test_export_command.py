"""The export's command: what it prints, what it replaces, and what it refuses in one sentence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from search.export.__main__ import main
from search.export.config_text import write_configs
from search.export.write import export_study
from search.launch.plan import Plan
from space import load_configs
from space.errors import UsageError, UserError
from space.files.reader import LARGEST
from storage import Store

from ..conftest import ASHA, search

MakePlan = Callable[..., Plan]


def test_json_says_what_the_file_says(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    search(plan_for(), store)
    path = command("--format", "json", "--top", "2")
    printed = json.loads(capsys.readouterr().out)
    configs = load_configs(path).configs
    assert printed["output"] == str(path)
    assert printed["configs"] == [{"name": each.name, **each.provenance} for each in configs]
    benchmark = f"python -m search.benchmark --config {path} --fresh-seeds"
    assert configs[0].provenance["rerun"] == benchmark
    assert printed["next"].endswith(f"{benchmark} --storage {store.name}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--study", "cloesd"], "no study 'cloesd'"),
        (["--trial", "99"], "study 'closed' has no such trial; its last one is trial "),
        (["--trial", "PRUNED"], "the trial is PRUNED, and only a complete one stands"),
        (["--trial", "WAITING"], "the trial is WAITING, and only a complete one stands"),
        (["--trial", "-1"], "--trial"),
        (["--trial", "x"], "'x' is not the number of a trial"),
        (["--top", "0"], "'0' is not a whole number of at least 1"),
        (["--top", "2", "--trial", "1"], "not allowed with argument"),
        (["--storage", "/absent/s.db"], "/absent/s.db"),
    ],
)
def test_a_mistake_is_one_sentence(
    plan_for: MakePlan, store: Store, tmp_path: Path, arguments: list[str], words: str
) -> None:
    plan = plan_for(pruner=ASHA)
    study = search(plan, store, n_workers=3, n_steps=4)
    numbers = {trial.state.name: str(trial.number) for trial in study.trials}
    assert {"PRUNED", "WAITING"} <= set(numbers)
    arguments = [numbers.get(argument, argument) for argument in arguments]
    output = tmp_path / "x.yaml"
    options = ["--study", "closed", "--storage", str(store.url.database), "--output", str(output)]
    with pytest.raises(UserError) as caught:
        main([*options, *arguments])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not output.exists()


def test_a_study_without_a_complete_trial_has_nothing_to_export(
    plan_for: MakePlan, store: Store
) -> None:
    search(plan_for(), store, n_steps=3)
    with pytest.raises(UsageError, match=r"no trial is complete \(2 WAITING\)"):
        export_study(store, "closed", rerun="again")


def test_a_trial_that_others_trained_cannot_be_exported(store: Store) -> None:
    study = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    study.add_trial(optuna.trial.create_trial(value=0.1))
    with pytest.raises(UsageError, match=r"trial 0 was not trained by search\.launch"):
        export_study(store, "theirs", rerun="again")


def test_a_trial_keeps_its_number_where_one_before_it_was_deleted(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    search(plan_for(), store)
    with closing(sqlite3.connect(str(store.url.database))) as connection:
        connection.execute("DELETE FROM trials WHERE number = 3")
        connection.commit()
    path = command("--trial", "5")
    assert load_configs(path).configs[0].provenance["trial"] == 5
    with pytest.raises(UsageError, match=r"--trial 3: .* no such trial; it was deleted"):
        command("--trial", "3")


def test_only_a_config_file_is_replaced(
    plan_for: MakePlan, store: Store, tmp_path: Path, command: Callable[..., Path]
) -> None:
    search(plan_for(), store)
    path = command()
    first = path.read_text()
    assert command("--trial", "3") == path
    assert path.read_text() != first
    assert [each.name for each in path.parent.iterdir()] == [path.name]

    notes = tmp_path / "notes.yaml"
    notes.write_text("dear: diary\n")
    empty = tmp_path / "empty.yaml"
    empty.touch()
    for there in (notes, empty, tmp_path):
        with pytest.raises(UsageError, match="no config file that could be replaced"):
            main(
                ["--study", "closed", "--storage", str(store.url.database), "--output", str(there)]
            )
    assert notes.read_text() == "dear: diary\n"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_configs(tmp_path / "file" / "x.yaml", "name: x\n")
    with pytest.raises(UsageError, match="export fewer configs with --top"):
        write_configs(tmp_path / "x.yaml", "#" * (LARGEST + 1))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
