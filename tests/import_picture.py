"""The picture of imports in the page on how the code is built: ``python -m tests.import_picture``.

A line a room. Of its own package it names the rooms that it imports, of others the package alone.
"""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["PACKAGES", "PAGE", "draw", "drawn", "write"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("space", "trainables", "storage", "dashboards", "search")
_BEGIN, _END = "<!-- imports -->\n```\n", "```\n<!-- end of imports -->"


def draw() -> str:
    """The picture as the code is now."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            room = _room(path.relative_to(ROOT).with_suffix("").parts)
            seen = found.setdefault(room, set())
            for parts in _imported(path):
                other = _room(parts)
                seen.add(other if parts[0] == package else parts[0])
            seen.discard(room)
    widest = max(map(len, found))
    return "".join(
        f"{room:{widest}}  {' '.join(sorted(others, key=_place)) or '-'}\n"
        for room, others in sorted(found.items(), key=lambda item: _place(item[0]))
    )


def drawn() -> str:
    """The picture that is on the page."""
    return PAGE.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0]


def write() -> None:
    """Put the picture on the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(before + begin + draw() + _END + after, encoding="utf-8")


def _imported(path: Path) -> set[tuple[str, ...]]:
    """What a module imports of ours, wherever in it, in parts."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {tuple(name.split(".")) for name in names}
    return {parts for parts in found if parts[0] in PACKAGES}


def _room(parts: tuple[str, ...]) -> str:
    """The room of a module or of a name in it: a package's folder, or the package itself."""
    is_folder = len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir()
    return ".".join(parts[: 1 + is_folder])


def _place(room: str) -> tuple[int, str]:
    return PACKAGES.index(room.partition(".")[0]), room


if __name__ == "__main__":
    write()
