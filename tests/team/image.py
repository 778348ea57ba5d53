"""Carries out the Dockerfile and the compose file step by step, in folders and processes.

Where no container engine is at hand, a folder stands in for the image's root, and a process for
each of its services. What is carried out is read off the two files, so that they cannot drift apart
from it; a line that is not understood is an error.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["TEAM", "Image", "Service", "read_services"]

ROOT = Path(__file__).resolve().parents[2]
TEAM = ROOT / "docs" / "team"

_OURS = re.compile(r"(?<![\w./-])/(?:src|opt/search|var/lib/search)(?![\w-])")
"""What the image has of its own; everything else is the machine's."""
_AS_ROOT = {"useradd", "chown"}
"""Programs that only the root of a container may call; here files are the caller's."""


@dataclass
class Image:
    """What a Dockerfile makes, in a folder.

    Attributes:
        root: The folder.
        offline: Fetch nothing: installed is our code alone, beside the libraries that this process
            runs with.
        entrypoint: What a container's command is given to.
        command: What that is by default.
        user: Who it runs as.
        variables: What it has in its environment.
        carried_out: The instructions, as they stand in the file.
    """

    root: Path
    offline: bool
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    user: str = "root"
    variables: dict[str, str] = field(default_factory=dict)
    working_directory: str = "/"
    carried_out: list[tuple[str, str]] = field(default_factory=list)

    def build(self, file: Path = TEAM / "Dockerfile", context: Path = ROOT) -> None:
        """Carry out a Dockerfile."""
        for name, words in instructions(file.read_text()):
            match name:
                case "FROM":
                    # Its Python, which is this one; the version is compared by whoever asks.
                    (self.root / "bin").mkdir(parents=True)
                    (self.root / "bin" / "python").symlink_to(sys.executable)
                case "COPY":
                    *sources, target = words.split()
                    for source in sources:
                        self._copy(context / source, self.place(target), into=target[-1] == "/")
                case "RUN":
                    self._run(words)
                case "WORKDIR":
                    self.working_directory = words
                    Path(self.place(words)).mkdir(parents=True, exist_ok=True)
                case "ENV":
                    key, _, value = words.partition("=")
                    self.variables[key] = self.place(value)
                case "USER":
                    self.user = words
                case "ENTRYPOINT":
                    self.entrypoint = json.loads(words)
                case "CMD":
                    self.command = json.loads(words)
                case _:
                    raise ValueError(f"{file}: {name} {words}: this cannot be carried out here")
            self.carried_out.append((name, words))

    def place(self, text: str) -> str:
        """A text whose paths of the image's own are those of the folder."""
        return _OURS.sub(lambda found: f"{self.root}{found[0]}", text)

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], **options: Any
    ) -> subprocess.Popen[str]:
        """Start a container's process.

        Args:
            command: What the entry point is given.
            environment: What it has beside a path.
            options: For `subprocess.Popen`.
        """
        given = [self.place(each) for each in (*self.entrypoint, *(command or self.command))]
        place = self.place(self.working_directory)
        return subprocess.Popen(
            given, cwd=place, env=self._environment() | dict(environment), text=True, **options
        )

    def _run(self, words: str) -> None:
        steps = [each for each in words.split("&&") if shlex.split(each)[0] not in _AS_ROOT]
        for step in steps:
            environment = self._environment()
            if self.offline and "pip" in step:
                environment |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
                environment["PIP_NO_BUILD_ISOLATION"] = "0"  # pip's way of saying yes.
                (path,) = self.root.glob("opt/search/venv/lib/python*/site-packages")
                beside = [each for each in sys.path if each.endswith("site-packages")]
                (path / "beside.pth").write_text("\n".join(beside))
                environment["PYTHONPATH"] = os.pathsep.join(beside)  # What builds the package.
            subprocess.run(
                ["sh", "-ec", self.place(step)], check=True, cwd=self.root, env=environment
            )

    def _environment(self) -> dict[str, str]:
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        kept = {key: os.environ[key] for key in ("PIP_FIND_LINKS", "PIP_CERT") if key in os.environ}
        return {"PATH": path, "HOME": str(self.root), "LANG": "C.UTF-8", **kept, **self.variables}

    @staticmethod
    def _copy(source: Path, target: str, *, into: bool) -> None:
        if not into:
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            return
        Path(target).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile: name and what follows, lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, words = line.strip().partition(" ")
            yield name, " ".join(words.split())


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service of the compose file.

    Attributes:
        name: What the others call it.
        image: What it is made of.
        command: What it runs, where that is said.
        environment: Its variables, with what is given filled in.
        needs: The services that it waits for -> until when.
        settings: All that the file says of it.
    """

    name: str
    image: str
    command: list[str]
    environment: dict[str, str]
    needs: dict[str, str]
    settings: dict[str, Any]


def read_services(given: Mapping[str, str], file: Path = TEAM / "compose.yaml") -> list[Service]:
    """The services of the compose file, each after those that it waits for.

    Args:
        given: The variables of its `.env`.
        file: The file.
    """

    found = []
    for name, settings in _filled(yaml.safe_load(file.read_text())["services"], given).items():
        needs = settings.get("depends_on", {})
        if isinstance(needs, list):
            needs = {each: {"condition": "service_started"} for each in needs}
        found.append(
            Service(
                name=name,
                image=settings["image"],
                command=settings.get("command", []),
                environment={k: str(v) for k, v in settings.get("environment", {}).items()},
                needs={each: how["condition"] for each, how in needs.items()},
                settings=settings,
            )
        )
    return found


_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<sign>:[-?])(?P<default>[^}]*))?\}")


def _filled(value: Any, given: Mapping[str, str]) -> Any:
    """What the file says with variables filled in, as an engine does it: in each text by itself."""

    def of_variable(found: re.Match[str]) -> str:
        if found["name"] in given:
            return given[found["name"]]
        if found["sign"] == ":-":
            return found["default"]
        raise KeyError(f"{found['name']}: {found['default']}")

    match value:
        case dict():
            return {key: _filled(each, given) for key, each in value.items()}
        case list():
            return [_filled(each, given) for each in value]
        case str():
            return _VARIABLE.sub(of_variable, value)
    return value
