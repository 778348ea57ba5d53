"""Carry out the Dockerfile with all that it fetches, and run the service that it makes.

``python -m tests.team``: in a new folder, beside a new PostgreSQL server.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from ..postgresql import PostgresqlServer, programs
from .image import Image
from .rehearsal import rehearse


def main() -> int:
    """Build it, run it, and say how long each took."""
    binaries = programs()
    if binaries is None:
        sys.stderr.write("error: PostgreSQL's programs initdb and pg_ctl are not installed.\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="search-image-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as a user of its own.
        begun = time.monotonic()
        image = Image(Path(folder) / "root", offline=False)
        image.build()
        built = time.monotonic()
        data = Path(folder) / "postgresql"
        data.mkdir()
        server = PostgresqlServer(data, binaries)
        try:
            rehearse(image, server, Path(folder))
        finally:
            server.stop("immediate")
        ended = time.monotonic()
    sys.stdout.write(
        f"the image was made in {built - begun:.0f} s; the service came up, ran what was queued "
        f"and stopped in {ended - built:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
