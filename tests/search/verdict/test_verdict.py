"""Verdicts for results from elsewhere: the benchmark's own, from any table of runs."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import search
from dashboards.statistics.verdicts import compare_all
from search.verdict.__main__ import main
from space.errors import SpaceError, UsageError, UserError

from ..callbacks.test_libraries import wandb_records

pytestmark = pytest.mark.filterwarnings("ignore")  # those of MLflow and W&B

SEEDS = (1, 2, 3, 5, 8, 13, 42, 1337)
Results = Mapping[str, Mapping[int, float]]


def accuracies(seeds: tuple[int, ...] = SEEDS) -> Results:
    """Three configs: a reference, a better one, and one like the reference."""
    draw = random.Random(0)
    common = {seed: 0.9 + draw.gauss(0, 0.01) for seed in seeds}
    gains = {"base": 0.0, "new": 0.012, "same": 0.0}
    return {
        name: {seed: round(common[seed] + gain + draw.gauss(0, 0.001), 6) for seed in seeds}
        for name, gain in gains.items()
    }


def written(path: Path, results: Results, *, headings: str = "model,seed,test_acc") -> Path:
    lines = [f"{name},{seed},{value}" for name, of in results.items() for seed, value in of.items()]
    path.write_text("\n".join([headings, *lines]) + "\n")
    return path


def test_a_table_gives_what_a_benchmark_would_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "runs.csv", accuracies())
    files = {name: tmp_path / f"out.{name}" for name in ("latex", "json", "report")}
    options = [f"--{name}={file}" for name, file in files.items()]
    assert main(["--csv", str(path), "--margin", "0.004", "--unit", "fraction", *options]) == 0
    said = capsys.readouterr().out
    compared = compare_all(accuracies(), "base", margin=0.004, maximize=True)
    assert [each.verdict for each in compared] == ["better", "equivalent"]
    tree = json.loads(files["json"].read_text())
    for row, each in zip(tree["rows"][1:], compared, strict=True):
        assert (row["name"], row["verdict"]) == (each.name, each.verdict)
        assert row["comparison"]["adjusted_p_value"] == each.adjusted_p_value
        assert row["comparison"]["paired"]["mean_difference"] == each.paired.mean_difference
    assert {seed["seed"]: seed["test_acc"] for seed in tree["rows"][1]["seeds"]} == accuracies()[
        "new"
    ]
    assert "Against base, new is better; same is equivalent." in " ".join(said.split())
    assert "parameters" not in said
    assert "train s" not in said
    assert r"\toprule" in files["latex"].read_text()
    document = files["report"].read_text()
    assert "benchmark-seeds" in document
    assert "benchmark-differences" in document
    assert "trained elsewhere" in document
    assert "benchmark-seconds" not in document
    assert "On 8 seeds new has a test acc of" in document
    assert "seeds of the test split" not in document


def test_a_run_that_failed_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "runs.csv", accuracies())
    for cell in ("", "nan", "inf"):
        text = path.read_text()
        assert "new,42," in text
        lines = [f"new,42,{cell}" if line.startswith("new,42,") else line for line in text.split()]
        path.write_text("\n".join(lines))
        report = tmp_path / "report.html"
        assert main(["--csv", str(path), f"--report={report}"]) == 0
        said = capsys.readouterr().out
        assert "unfinished, 23 of 24 runs" in report.read_text()
        assert "not ranked: failed on 1 seed" in said
        assert f"new, seed 42 (line 16: test_acc is {cell or 'empty'})" in said


def test_columns_that_say_the_config_together(tmp_path: Path) -> None:
    path = tmp_path / "runs.tsv"
    rows = [("lr", "width", "seed", "loss", "note")]
    rows += [(lr, w, s, 1.0 + s / 10 + w, "a_b") for lr in (0.1, 1) for w in (4, 8) for s in (0, 1)]
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows))
    found = search.verdict(path, config=["lr", "width"], reference="lr 1, width 4")
    assert [row.name for row in found.table.rows] == [
        f"lr {lr}, width {width}" for lr in (0.1, 1) for width in (4, 8)
    ]
    assert not found.table.metric.maximize
    assert found.table.metric.name == "loss"
    assert sorted(found.figures()["benchmark-seeds"].data[0].x) == sorted(
        value for row in found.table.rows for value in row.result.by_seed("loss").values()
    )
    (differences,) = (
        figure for key, figure in found.figures().items() if key == "benchmark-differences"
    )
    assert len(differences.data[0].x) == 2 * 3


def test_what_a_file_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    results = {"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 2.0}}
    found = search.verdict(written(tmp_path / "runs.csv", results, headings="name,seed,loss"))
    for row in json.loads(found.text("json"))["rows"]:
        assert (row["n_parameters"], row["config"], row["train_seconds"]) == (None, None, None)
        for seed in row["seeds"]:
            assert (seed["launch_id"], seed["config_hash"], seed["best_epoch"]) == (None,) * 3
    first = next(csv.DictReader(io.StringIO(found.text("csv"))))
    assert (first["loss"], first["launch_id"], first["config_hash"]) == ("1.0", "", "")


def test_no_seed_in_common_is_no_comparison(tmp_path: Path) -> None:
    results = {"a": {0: 1.0, 1: 2.0}, "b": {2: 1.0, 3: 2.0}}
    found = search.verdict(written(tmp_path / "runs.csv", results, headings="name,seed,loss"))
    assert found.table.row("b").verdict == "not compared: no common seeds"


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that MLflow holds, as it gives them and as its file has them."""
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'ml.db'}")
    results = accuracies(tuple(range(7)))
    for name, of in results.items():
        for seed, value in of.items():
            with mlflow.start_run():
                mlflow.log_params({"model": name, "seed": seed, "lr": 0.1})
                mlflow.log_metrics({"test/acc": value, "loss": 1.0})
    mlflow.start_run()
    mlflow.log_params({"model": "new", "seed": 7, "lr": 0.1})
    mlflow.end_run("FAILED")
    frame = mlflow.search_runs(search_all_experiments=True)
    frame.to_csv(tmp_path / "runs.csv", index=False)
    for runs in (frame, tmp_path / "runs.csv"):
        found = search.verdict(runs, metric=["test/acc", "loss"], reference="base")
        assert {row.name: row.result.by_seed("test/acc") for row in found.table.rows} == results
        assert found.table.row("new").verdict == "not ranked: failed on 1 seed"
        assert found.table.row("same").verdict == "undecided with 7 seeds"
    mlflow.set_tracking_uri(None)


def test_wandb(tmp_path: Path) -> None:
    """Runs that W&B wrote offline, in the columns that its pages export."""
    wandb = pytest.importorskip("wandb")
    results = {name: of for name, of in accuracies(tuple(range(6))).items() if name != "same"}
    settings = wandb.Settings(mode="offline", silent=True, disable_git=True, x_disable_stats=True)
    for name, of in results.items():
        for seed, value in of.items():
            config = {"method": name, "seed": seed}
            with wandb.init(config=config, dir=tmp_path, settings=settings, reinit=True) as run:
                run.log({"test/acc": value})
    wandb.teardown()
    columns = ("Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep")
    rows = []
    for place, path in enumerate(sorted(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))):
        row: dict[str, Any] = dict.fromkeys(columns, "") | {"Name": f"brisk-sun-{place}"}
        for record in wandb_records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                row |= {each.key: json.loads(each.value_json) for each in record.run.config.update}
            elif kind == "history":
                for item in record.history.item:
                    row[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            elif kind == "exit":
                row["State"] = "crashed" if record.exit.exit_code else "finished"
        rows.append({key: value for key, value in row.items() if key != "_wandb"})
    path = tmp_path / "wandb.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    found = search.verdict(path, metric="test/acc", reference="base")
    assert {row.name: row.result.by_seed("test/acc") for row in found.table.rows} == results
    assert found.table.row("new").verdict == "better"


GOOD = "model,seed,loss,time\na,0,1,5\na,1,2,5\nb,0,1,5\nb,1,2,5\n"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (GOOD, [], "--metric: .*one of loss and time"),
        (GOOD, ["--metric", "lass"], "--metric: .*no column 'lass'.*did you mean 'loss'"),
        (GOOD, ["--metric", "loss", "--reference", "c"], "--reference: there is no config 'c'"),
        (GOOD, ["--metric", "loss", "--seed", "model"], "line 2, column 'model': 'a' is no seed"),
        (GOOD, ["--metric", "loss", "--config", "time"], "lines 2 and 4: two runs.*'5'.*seed 0"),
        (GOOD, ["--metric", "loss", "--margin", "0"], "--margin: '0' is not a number above 0"),
        (GOOD.replace("2,5", "x,5"), ["--metric", "loss"], "line 3, column 'loss': 'x' is not a"),
        (GOOD.replace("loss", "q"), ["--metric", "q"], "--direction: .*'q'.*minimize or maximize"),
        (GOOD.replace("model", "m"), ["--metric", "loss"], "--config: .*m, seed, loss, time"),
        (GOOD.replace("seed", "s"), ["--metric", "loss"], "--seed: .*no column 'seed'"),
        (GOOD.replace("time", "seed"), [], "line 1: two columns are called 'seed'"),
        (GOOD.replace("a,1,2,5", "a,1,2"), [], "line 3: 3 cells, but there are 4 headings"),
        (GOOD.replace("a,0", ",0"), ["--metric", "loss"], "line 2, column 'model': empty"),
        (GOOD.replace("a,0", 'a"b,"0'), ["--metric", "loss"], "line"),
        ("model,seed,loss\n", [], "no run in it"),
        ("", [], "no run in it"),
        ("model,seed,loss\na,0,nan\na,1,nan\n", [], "no run in it has a value of loss"),
        ("params.a,tags.a,seed,loss\nx,x,0,1\nx,x,1,1\n", ["--config", "a"], "params.a, tags.a"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    text: str, options: list[str], said: str, tmp_path: Path
) -> None:
    (path := tmp_path / "runs.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        main(["--csv", str(path), *options])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="no such file"):
        main(["--csv", str(tmp_path / "none.csv")])
    (path := tmp_path / "runs.csv").write_bytes(b"model,seed\n\xff")
    with pytest.raises(UserError, match="byte 12 is not UTF-8"):
        main(["--csv", str(path)])
    with pytest.raises(UserError, match="direction is 'up'"):
        search.verdict(path, direction="up")
