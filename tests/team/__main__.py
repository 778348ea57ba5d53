"""Carry out the Dockerfile with all that it fetches, in a new folder: ``python -m tests.team``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .image import Image


def main() -> int:
    """Build, make a store in it and say how long it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="search-image-") as folder:
        image = Image(Path(folder) / "root", offline=False)
        image.build()
        seconds = time.monotonic() - started
        status = 0
        for command in (["--version"], ["storage", "create"], ["serve", "--help"]):
            status |= image.start(command, {}).wait()
    done = "the image is made" if status == 0 else "a command of the image failed"
    sys.stdout.write(f"{done}; its steps took {seconds:.0f} s\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
