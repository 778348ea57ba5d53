"""A search with the oldest libraries that setup.cfg allows: ``python -m tests.lower_bounds``.

It makes a virtual environment in a temporary directory, which takes minutes and a package index, so
it is no part of the suite. PyTorch is the version of constraints.txt, whose build is the machine's.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINNED = ("torch", "torchvision")
"""Of these the version of constraints.txt is taken."""


def oldest() -> list[str]:
    """Every requirement of the package at its lower bound."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    found = []
    for line in setup["options"]["install_requires"].split():
        match = re.match(r"([\w-]+(?:\[\w+\])?)>=([\d.]+)", line)
        if match is None:
            raise ValueError(f"{line} has no lower bound")
        name, bound = match.groups()
        found.append(f"{name}=={pins[name]}" if name in PINNED else f"{name}=={bound}.*")
    return found


def main() -> None:
    """Install them, and search."""
    with tempfile.TemporaryDirectory() as folder:
        run([sys.executable, "-m", "venv", f"{folder}/venv"])
        beside = f"{folder}/venv/bin"
        run([f"{beside}/pip", "install", "-q", *oldest()])
        run([f"{beside}/pip", "install", "-q", "--no-deps", str(ROOT)])
        run([f"{beside}/search", "init", "old", "--like", "digits-cnn"], folder)
        changes = ["--set", "training.epochs=2", "--set", "pruner=none"]
        run(
            [f"{beside}/search", "launch", "--space", "old.yaml", "--trials", "3", *changes], folder
        )
        report = ["--study", "old", "--output", "report.html"]
        run([f"{beside}/search", "report", *report], folder)


def run(command: list[str], folder: str | None = None) -> None:
    """Run a command, which has to succeed."""
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
