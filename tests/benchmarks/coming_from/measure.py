"""One search written three ways, killed, made to diverge and looked at: what each keeps and loses.

python -m tests.benchmarks.coming_from.measure [optuna|ray|ours]
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import psutil

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TRACE = 'open("epochs.log", "a").write("epoch\\n")'
"""What a copy of each script does in every epoch that it trains, so that they can be counted."""
KILL_AFTER = 20
"""Epochs after which everything is killed."""

SCRIPTS = {
    "optuna": (HERE / "with_optuna.py",),
    "ray": (HERE / "with_ray_tune.py",),
    "ours": (ROOT / "trainables" / "shipped" / "digits_cnn.py", HERE / "digits.yaml"),
}
MARKS = {
    "optuna": "        model.train()\n",
    "ray": "        model.train()\n",
    "ours": "    def network(self)",
}


def prepare(tool: str, folder: Path, *, high: str | None = None) -> list[str]:
    """A tool's files in a folder, their epochs counted; the command that searches."""
    for path in SCRIPTS[tool]:
        shutil.copy(path, folder)
    script, mark = folder / SCRIPTS[tool][0].name, MARKS[tool]
    line = f"        {TRACE.replace('epochs.log', str(folder / 'epochs.log'))}\n"
    if tool == "ours":
        method = "    def epoch(self, train, order, augmentation):\n"
        line = f"{method}{line}        return super().epoch(train, order, augmentation)\n\n{mark}"
        text = script.read_text().replace(mark, line)
        text = text.replace("width: Annotated[int, Field(ge=1)] = 16", "width: int = 16")
    else:
        text = script.read_text().replace(mark, mark + line)
        if tool == "ray":  # Nothing of it is to be reached from elsewhere.
            local = (
                "import ray\n\nfrom search.workers.ray_session import _loopback\n\n"
                "with _loopback():\n"
                '    ray.init("local", _node_ip_address="127.0.0.1", include_dashboard=False)\n'
            )
            text = text.replace("\nimport optuna\n", f"\n{local}\nimport optuna\n")
    script.write_text(text)
    if tool != "ours":
        return [sys.executable, script.name]
    if high is not None:
        space = folder / "digits.yaml"
        space.write_text(space.read_text().replace("high: 3.0e-2", f"high: {high}"))
    command = [sys.executable, "-m", "search.launch", "--space", "digits.yaml"]
    return [*command, "--storage", "search.db"]


def start(command: list[str], folder: Path, high: str | None) -> subprocess.Popen[bytes]:
    """The command in the folder; what it says goes into a file there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    if high is not None:
        environment["HIGH"] = high
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
        )


def trained(folder: Path) -> int:
    """Epochs that were trained, those that were lost among them."""
    path = folder / "epochs.log"
    return len(path.read_text().splitlines()) if path.exists() else 0


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and all that it started."""
    if process.poll() is not None:
        raise RuntimeError("it ended before it was to be killed: see said.txt in its folder")
    parent = psutil.Process(process.pid)
    for each in [parent, *parent.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


def states(tool: str, folder: Path) -> dict[str, Any]:
    """What the tool's own store says of the trials: state -> how many, and epochs it knows of."""
    if tool == "ray":
        found: collections.Counter[str] = collections.Counter()
        n_epochs = 0
        for path in sorted(folder.glob("ray_results/digits/experiment_state-*.json"))[-1:]:
            tree = json.loads(path.read_text())
            for text, _ in tree["trial_data"]:
                found[json.loads(text)["status"]] += 1
        for path in folder.glob("ray_results/digits/*/result.json"):
            n_epochs += len(path.read_text().splitlines())
        return {"states": dict(found), "epochs": n_epochs}
    name = "optuna.db" if tool == "optuna" else "search.db"
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{folder / name}")
    counts = collections.Counter(trial.state.name for trial in study.trials)
    epochs = sum(len(trial.intermediate_values) for trial in study.trials)
    return {"states": dict(counts), "epochs": epochs}


def after_a_kill(tool: str, folder: Path) -> dict[str, Any]:
    """Kill in mid-study, run the same command again."""
    command = prepare(tool, folder)
    process = start(command, folder, None)
    while trained(folder) < KILL_AFTER and process.poll() is None:
        time.sleep(0.02)
    kill_all(process)
    found = {"trained_before": trained(folder), "store_after_kill": states(tool, folder)}
    time.sleep(1)
    began = time.monotonic()
    status = start(command, folder, None).wait(timeout=600)
    return {
        **found,
        "status_of_second": status,
        "seconds_of_second": round(time.monotonic() - began, 1),
        "trained_in_all": trained(folder),
        "store_at_the_end": states(tool, folder),
    }


def diverging(tool: str, folder: Path) -> dict[str, Any]:
    """Learning rates up to 1e30: some losses are not a number."""
    command = prepare(tool, folder, high="1.0e+30")
    status = start(command, folder, "1e30").wait(timeout=600)
    return {"status": status, "trained": trained(folder), "store": states(tool, folder)}


def main() -> None:
    """Measure one tool, or all."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for tool in sys.argv[1:] or SCRIPTS:
        for measure in (after_a_kill, diverging):
            folder = Path(tempfile.mkdtemp(prefix=f"coming-from-{tool}-"))
            print(tool, measure.__name__, folder, json.dumps(measure(tool, folder)), flush=True)


if __name__ == "__main__":
    main()
