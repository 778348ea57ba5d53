"""The Dockerfile and the compose file, carried out step by step without a container engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search.__main__ import command

from ..postgresql import PostgresqlServer
from .image import ROOT, TEAM, Image, Service, instructions, read_services
from .rehearsal import GIVEN, rehearse


@pytest.fixture
def services() -> list[Service]:
    return read_services(GIVEN)


def test_a_variable_that_is_not_given_is_refused() -> None:
    with pytest.raises(KeyError, match="SEARCH_HOST: say it in"):
        read_services({key: GIVEN[key] for key in GIVEN if key != "SEARCH_HOST"})


def test_services_begin_after_those_that_they_wait_for(services: list[Service]) -> None:
    begun: set[str] = set()
    for service in services:
        assert set(service.needs) <= begun
        begun.add(service.name)
    assert begun == {"database", "store", "server", "agent", "proxy"}


def test_every_service_of_ours_runs_a_command_with_its_options(services: list[Service]) -> None:
    ours = [service for service in services if service.image == "search"]
    assert [service.name for service in ours] == ["store", "server", "agent"]
    for service in ours:
        name, *options = service.command
        command(name).build_parser().parse_args(options)
        build = service.settings["build"]
        assert (TEAM / build["context"]).resolve() == ROOT
        assert ROOT / build["dockerfile"] == TEAM / "Dockerfile"


def test_no_password_is_in_the_file() -> None:
    text = (TEAM / "compose.yaml").read_text()
    for name in re.findall(r"\w*PASSWORD\w*: (.*)", text):
        assert name.startswith("${"), name


def test_what_the_proxy_is_given_the_caddyfile_asks_for(services: list[Service]) -> None:
    (proxy,) = (service for service in services if service.name == "proxy")
    asked = set(re.findall(r"\{\$(\w+)", (TEAM / "Caddyfile").read_text()))
    assert set(proxy.environment) <= asked
    (mounted, *_) = proxy.settings["volumes"]
    assert (TEAM / mounted.split(":")[0]).is_file()


def test_the_image_has_every_package_and_file_that_an_installation_needs() -> None:
    copied = {
        source
        for name, words in instructions((TEAM / "Dockerfile").read_text())
        if name == "COPY"
        for source in words.split()[:-1]
    }
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    files = {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "constraints.txt"}
    assert copied == packages | files


@pytest.mark.slow
@pytest.mark.postgresql
def test_the_service_comes_up_runs_what_is_queued_and_stops(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    """Nothing is fetched: its libraries are this process's."""
    image = Image(tmp_path / "root", offline=True)
    image.build()
    assert image.user == "search"
    rehearse(image, postgresql, tmp_path)
