"""The Dockerfile and the compose file, carried out step by step without a container engine."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from search.__main__ import command
from storage import open_store
from storage.submissions import list_submissions

from ..postgresql import PostgresqlServer
from .image import ROOT, TEAM, Image, Service, instructions, read_services
from .services import service_up, wait_for

GIVEN = {
    "SEARCH_DATABASE_PASSWORD": "a1b2c3d4",
    "SEARCH_DASHBOARD_PASSWORD": "e5f6g7h8",
    "SEARCH_HOST": "search.example.org",
}
SPACE = {
    "study": "queued",
    "trainable": "closed-form",
    "training": {"epochs": 2},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
    "budget": {"trials": 2},
}


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
    tmp_path: Path, postgresql: PostgresqlServer, services: list[Service]
) -> None:
    """Its database is a server of the tests; nothing is fetched: libraries are this process's."""
    image = Image(tmp_path / "root", offline=True)
    image.build()
    assert image.user == "search"
    password = GIVEN["SEARCH_DATABASE_PASSWORD"]
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    with (
        postgresql.owned("search", password) as address,
        service_up(image, services, address) as running,
    ):
        url = f"postgresql+psycopg://search:{password}@{address}/search"
        running.run(f"submit --space {tmp_path / 'space.json'}")

        def has_ended() -> bool:
            with closing(open_store(url, look=True)) as store:
                (submission,) = list_submissions(store)
            return submission.state not in ("queued", "running")

        wait_for("the submission", running.processes["agent"], has_ended)
        with closing(open_store(url, look=True)) as store:
            (submission,) = list_submissions(store)
            assert (submission.state, submission.reason) == ("done", None)
            assert len(store.runs(store.study_id("queued"))) == 2
        page = running.get("/data/study/1")
        assert page is not None
        assert "learning_rate" in page
        assert running.down() == {"server": 0, "agent": 0}
    files = list((tmp_path / "root" / "var/lib/search").rglob("*"))
    assert [path.name for path in files if path.is_file()] == []  # All of it is in the database.
