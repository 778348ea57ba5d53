"""The way through the house is one-way, and `trainables` needs neither Ray nor Optuna nor SQL."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from storage import open_store

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "space": set(),
    "trainables": {"space"},
    "storage": {"space"},
    "dashboards": {"space", "storage"},
    "search": {"space", "trainables", "storage", "dashboards"},
}
FORBIDDEN_LIBRARIES = {
    "space": {"torch", "ray", "optuna", "sqlalchemy", "plotly"},
    "trainables": {"ray", "optuna", "sqlalchemy", "plotly"},
    "storage": {"torch", "ray", "plotly"},
    "dashboards": {"torch", "ray"},
    "search": set(),
}

LARGE = {
    "fsspec",
    "numpy",
    "optuna",
    "pandas",
    "plotly",
    "pydantic",
    "ray",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "torch",
    "yaml",
}
"""Libraries that take a while to load."""
READY = ("launch", "export", "submit", "agent", "queue", "serve", "report", "publish", "storage")
"""Commands whose help waits for none of them."""


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    for path in modules:
        names = imported(path)
        forbidden = FORBIDDEN_LIBRARIES[package] | set(ALLOWED) - ALLOWED[package] - {package}
        if path.name == "ray_trainable.py":
            forbidden = forbidden - {"ray"}
        assert not names & forbidden, path


ROOMS = {
    "space": (
        ("",),
        ("study",),
        ("files",),
        ("terminal",),
        ("__main__",),
    ),
    "storage": (
        ("tables",),
        ("connect",),
        ("optuna_rows",),
        ("",),
        ("commands", "submissions", "summaries"),
        ("admin",),
        ("__main__",),
    ),
    "search": (
        ("runs",),
        ("trials", "workers", "export", "callbacks"),
        ("launch",),
        ("benchmark", "simulate", "verdict"),
        ("agent", "service"),
        ("",),
        ("api",),
        ("reproduction", "serve"),
    ),
    "trainables": (
        ("",),
        ("contract",),
        ("loop",),
        ("finding", "shipped"),
        ("worker",),
        ("check",),
        ("__main__",),
    ),
}
"""Package -> its rooms from the ground up; those on one floor do not import each other."""


def rooms_imported(path: Path, package: str) -> set[str]:
    """The rooms of its own package that a module imports; "" is the package's own folder."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module != package:
            parts = node.module.split(".")
            if parts[0] == package:
                found.add(parts[1] if (ROOT / package / parts[1]).is_dir() else "")
    return found


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_downwards(package: str) -> None:
    floors = {room: floor for floor, rooms in enumerate(ROOMS[package]) for room in rooms}
    for path in sorted((ROOT / package).rglob("*.py")):
        where = path.relative_to(ROOT / package)
        if where.name == "__init__.py" or where.parts[0] == "migrations":
            continue
        room = where.parts[0] if len(where.parts) > 1 else ""
        if where.name == "__main__.py" and not room:
            room = "__main__"
        for other in rooms_imported(path, package) - {room}:
            assert floors[other] < floors[room], f"{path} imports {package}.{other}"


def test_the_loop_knows_nothing_of_what_is_trained() -> None:
    """Neither by its imports nor by its words, whatever the case of letters."""
    folder = ROOT / "trainables"
    own = [folder / "contract" / f"{name}.py" for name in ("task", "split_data", "stacked")]
    modules = [*sorted((folder / "loop").glob("*.py")), *own, folder / "seeds.py"]
    assert len(modules) > 15
    for path in modules:
        text = path.read_text().lower()
        for word in ("digit_pairs", "pair", "mnist", "aux"):
            assert word not in text, f"{path} speaks of '{word}'"


def test_statistics_know_no_store() -> None:
    paths = sorted((ROOT / "dashboards" / "statistics").glob("*.py"))
    assert len(paths) > 3
    for path in paths:
        assert rooms_imported(path, "dashboards") <= {"statistics"}, path
        assert not imported(path) & {"storage", "optuna", "sqlalchemy"}, path


def test_neither_help_nor_a_mistake_waits_for_pytorch_or_ray() -> None:
    code = """
import sys
from search.benchmark.__main__ import main as benchmark
from search.launch.__main__ import main as launch
from space.errors import UserError

for main, option in ((launch, "--space"), (benchmark, "--config")):
    for options in (["--help"], [option, "README.md"]):
        try:
            main(options)
        except (SystemExit, UserError):
            print(sorted({"torch", "ray"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == ["[]"] * 4


def test_help_waits_for_none_of_the_libraries() -> None:
    code = """
import sys
from search.__main__ import COMMANDS, command

def loaded_by(commands):
    for main in commands:
        assert "--help" in main.build_parser().format_help()
    return sorted(sys.modules)

print(*loaded_by(map(command, sys.argv[1:])))
from search.reproduction.__main__ import main as reproduction
print(*loaded_by([*map(command, COMMANDS), reproduction]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *READY], cwd=ROOT, capture_output=True, text=True, check=True
    )
    by_ready, by_all = (set(line.split()) for line in done.stdout.splitlines())
    assert not LARGE & by_ready
    assert not (LARGE - {"fsspec", "numpy", "pydantic", "yaml"}) & by_all


@pytest.mark.parametrize("command", ["storage list", "storage check", "search queue"])
def test_what_reads_a_store_alone_loads_what_that_needs_alone(command: str, tmp_path: Path) -> None:
    """Not the files of spaces, nor what draws and trains."""
    url = f"sqlite:///{tmp_path / 'there.db'}"
    open_store(url).close()
    program, name = command.split()
    code = f"""
import sys
from {program}.__main__ import main
main(["{name}", "--storage", "{url}"])
print(*sorted(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not (LARGE - {"numpy", "optuna", "sqlalchemy"}) & loaded


def test_what_needs_no_pytorch_and_no_scikit_learn_does_not_load_them(tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from search.launch.plan import make_plan
from search.launch.run import launch
from search.runs.provenance import collect_provenance
from search.trials.feasible import resolved
from search.workers.workplace import Workplace
from space import read_space_file
from trainables.worker.steps import BatchedSteps
from trainables.contract.run_data import RunData
from trainables.worker.assigned import AssignedRun

path = Path(sys.argv[1]) / "space.json"
path.write_text(json.dumps({"study": "closed", "trainable": "closed-form", "parameters": {
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.01}},
    "training": {"epochs": 2}, "budget": {"trials": 1}}))
plan = make_plan(read_space_file(path), None, Workplace(checkpoints=path), command="c",
                 provenance=collect_provenance())
config = resolved(plan.space, {"learning_rate": 0.002}).model_dump(mode="json")
run = AssignedRun({"run_id": 1, "config": config, "checkpoint": None, "n_epochs": 0,
                   "evaluate": False, "together": True}, RunData())
(report,) = BatchedSteps().step([run])
print(report["epoch"]["epoch"], sorted({"torch", "sklearn"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "1 []"


def test_no_circle_of_modules_in_space() -> None:
    """Imports for types alone are counted, too."""
    imports: dict[str, set[str]] = {}
    for path in sorted((ROOT / "space").rglob("*.py")):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            nodes = ast.walk(ast.parse(path.read_text()))
            froms = [each for each in nodes if isinstance(each, ast.ImportFrom) and each.module]
            imports[name] = {str(each.module) for each in froms} | {
                f"{each.module}.{alias.name}" for each in froms for alias in each.names
            }
    graph = {name: found & imports.keys() for name, found in imports.items()}
    assert "space.config" in graph["space.study.space"]
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("space.config") < order.index("space.study.space")
