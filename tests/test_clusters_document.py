"""What docs/clusters.md shows exists: its commands, their options, its manifests."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from ray._private.runtime_env import packaging
from ray.dashboard.modules.job.cli import job_cli_group
from ray.scripts import scripts

from search.launch.__main__ import main
from search.launch.plan import DATA_VARIABLE

from .harness import cluster

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "clusters.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


LINES = [
    line
    for block in blocks("sh")
    for line in block.splitlines()
    if line.strip() and not line.startswith(".venv/bin/pip ")
]
LAUNCHES = [line for line in LINES if "search.launch" in line]
MANIFESTS = [yaml.safe_load(block) for block in blocks("yaml")]
STARTS = [
    command
    for manifest in MANIFESTS
    for key in ("head_start_ray_commands", "worker_start_ray_commands")
    for command in manifest.get(key, ())
]


@pytest.mark.parametrize("line", LAUNCHES)
def test_searches_are_launched_as_they_can_be(line: str) -> None:
    words = shlex.split(line)
    options = main.build_parser().parse_args(words[words.index("search.launch") + 1 :])
    assert (ROOT / options.space).exists()
    assert options.ray_address
    assert options.checkpoints


def options_of(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("line", [*LINES, *STARTS, "ray up f", "ray attach f", "ray job stop j"])
def test_the_commands_of_ray_are_there_with_their_options(line: str) -> None:
    match = re.search(r"(?:^|[ /])ray ((?:job )?[a-z-]+)(.*)", line)
    if match is None:
        assert line in LAUNCHES
        return
    groups: dict[str, Any] = {**scripts.cli.commands, "job": job_cli_group}
    name, _, sub = match[1].partition(" ")
    command = groups[name].commands[sub] if sub else groups[name]
    said = match[2].partition(" -- ")[0]
    for option in re.findall(r"(?<=\s)(--[a-z-]+)", said):
        assert option in options_of(command), line


def test_the_launcher_s_file_and_kuberay_s_manifest_are_what_they_are_called() -> None:
    launcher, kuberay = MANIFESTS
    assert launcher["provider"]["type"] == "local"
    assert {"cluster_name", "auth", "setup_commands"} < launcher.keys()
    assert (kuberay["apiVersion"], kuberay["kind"]) == ("ray.io/v1", "RayCluster")
    (pinned,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert kuberay["spec"]["rayVersion"] == pinned
    head, (worker,) = kuberay["spec"]["headGroupSpec"], kuberay["spec"]["workerGroupSpecs"]
    assert head["template"] == worker["template"]


def test_the_harness_that_it_names_is_there() -> None:
    assert f"python -m {cluster.MODULE}" in TEXT


def test_what_a_job_leaves_out_and_how_it_finds_its_data_is_true() -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/data/", "/results/"} <= set(ignored)
    assert f"more than {packaging.GCS_STORAGE_MAX_SIZE // 2**20} MiB" in TEXT
    (given,) = re.findall(r"--runtime-env-json\s+'([^']*)'", TEXT)
    assert json.loads(given)["env_vars"].keys() == {DATA_VARIABLE}


def test_the_readme_leads_there() -> None:
    assert "(docs/clusters.md)" in (ROOT / "README.md").read_text()


def test_there_are_commands_to_check() -> None:
    assert len(LAUNCHES) >= 4
    assert len(STARTS) == 4
