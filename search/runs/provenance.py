"""Where a result comes from: the code, the libraries and the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

__all__ = ["Provenance", "collect_provenance"]

LIBRARIES = ("torch", "torchvision", "numpy", "optuna", "ray", "sqlalchemy", "pydantic")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Code, libraries and machine of one launch.

    Attributes:
        git_commit: The commit of the code, or None where it is no git checkout.
        git_dirty: Whether the code differs from that commit, or None likewise.
        versions: Python's version and each library's.
        hardware: Processor, its logical CPUs, memory in bytes, GPUs and the system.
        host: The machine's name.
        pid: The driver's process number.
    """

    git_commit: str | None
    git_dirty: bool | None
    versions: dict[str, str]
    hardware: dict[str, Any]
    host: str
    pid: int


def collect_provenance() -> Provenance:
    """Read off this process, its code and its machine."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    # `torch.__version__` tells the CPU build from a CUDA build; the package's version may not.
    versions["torch"] = str(torch.__version__)
    return Provenance(
        git_commit=commit,
        git_dirty=None if commit is None or changes is None else bool(changes),
        versions=versions,
        hardware={
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "system": platform.platform(),
        },
        host=platform.node(),
        pid=os.getpid(),
    )


def _git(*arguments: str) -> str | None:
    """What git says of the code's checkout, or None where it cannot."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
