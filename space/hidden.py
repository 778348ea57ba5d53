"""Run by a package before it imports others of ours, which it names in ``NEEDED``: are they ours?

Python looks for packages in the working directory first, where a file of the user's such as
``storage.py`` hides ours. So this file is run by its path, and imports nothing of ours.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

NEEDED: tuple[str, ...] = globals()["NEEDED"]
ROOT = Path(__file__).resolve().parents[1]

for name in NEEDED:
    found = find_spec(name)
    origin = None if found is None else found.origin
    if origin is not None and Path(origin).resolve() != ROOT / name / "__init__.py":
        said = (
            f"{origin} hides this project's package '{name}'; rename it, or run the command in "
            "another directory."
        )
        own = (name.partition(".")[0] for flag, name in pairwise(sys.orig_argv) if flag == "-m")
        if any((ROOT / package / "__init__.py").exists() for package in own):
            sys.stderr.write(f"error: {said}\n")
            raise SystemExit(2)
        raise ImportError(said)
