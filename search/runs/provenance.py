"""Where a result comes from: the code, the libraries and the machine."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import NewLaunch
from storage.leases import process_mark
from trainables.contract.run_data import RunData

__all__ = ["Provenance", "collect_provenance", "gpu_names"]

LIBRARIES = ("torch", "torchvision", "numpy", "optuna", "ray", "sqlalchemy", "pydantic")
ROOT = Path(__file__).resolve().parents[2]
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What Linux has where there is a driver for GPUs: NVIDIA's, AMD's, Windows' below Linux."""


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

    def new_launch(
        self,
        study_id: int | None,
        *,
        command: str,
        config: dict[str, Any],
        changes: Sequence[str] = (),
        data: RunData,
    ) -> NewLaunch:
        """The record of a launch that comes from here and trains on this data; see `NewLaunch`."""
        return NewLaunch(
            study_id=study_id,
            command=command,
            config=config,
            changes=list(changes),
            data_source=data.source,
            data_fingerprint=data.fingerprint,
            process=process_mark(self.pid),
            **vars(self),
        )


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
    versions["torch"] = _torch_version() or versions["torch"]
    return Provenance(
        git_commit=commit,
        git_dirty=None if commit is None or changes is None else bool(changes),
        versions=versions,
        hardware={
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "gpus": gpu_names(),
            "system": platform.platform(),
        },
        host=platform.node(),
        pid=os.getpid(),
    )


def _torch_version() -> str | None:
    """PyTorch's version with its build, which tells a CPU's from CUDA's; PyTorch is not loaded."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    module = importlib.util.spec_from_file_location(
        "torch_version", Path(found.origin).with_name("version.py")
    )
    if module is None or module.loader is None:
        return None
    version = importlib.util.module_from_spec(module)
    module.loader.exec_module(version)
    return str(version.__version__)


def gpu_names() -> list[str]:
    """The GPUs of this machine that PyTorch sees; without a driver it is not asked."""
    if platform.system() == "Linux" and not any(Path(each).exists() for each in _GPU_DRIVERS):
        return []
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


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
