"""Several processes that train a run together compute what one does, but for rounding."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from trainables.contract.run_data import RunData
from trainables.contract.split_data import SplitData
from trainables.failures import LostTeamError, NonFiniteLossError, TrialFailure
from trainables.finding.find import trainable_of
from trainables.loop.dropout import SeededDropout
from trainables.loop.samples import n_samples
from trainables.loop.team import Team
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.worker.assigned import AssignedRun
from trainables.worker.member import Member
from trainables.worker.team_run import Members, TeamRun
from trainables.worker.usage import together

from ..conftest import in_float64

MakeConfig = Callable[..., DigitPairsConfig]
SIZE = 2
SINGLE = 0
"""The run that is in float32."""
CLOSE = 1e-9
"""By which share a number may differ, in float64. In three epochs rounding makes 1e-14 of it; in
float32 it grows to 1e-2 in networks of twenty layers."""


class _Member(Member):
    """A member whose runs are in float64, but for one."""

    def open(self, run_id: int, tree: dict[str, Any]) -> str:
        found = super().open(run_id, tree)
        if run_id != SINGLE:
            in_float64(self._runs[run_id])
        return found


def _serve(connection: Connection, data: RunData) -> None:
    member = _Member(data, n_threads=1, on_gpu=False)
    while True:
        method, arguments = connection.recv()
        connection.send(getattr(member, method)(*arguments))


class Processes:
    """The members of a team as processes of this machine, without Ray."""

    def __init__(self, data: RunData) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes = []
        for _ in range(SIZE):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, data), daemon=True)
            process.start()
            self._ends.append(ours)
            self._processes.append(process)
        self._ends[0].send(("meeting", ()))
        port = self._ends[0].recv()
        for rank, end in enumerate(self._ends):
            end.send(("join", (rank, SIZE, port)))
        assert [end.recv() for end in self._ends] == [None] * SIZE

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """See `Members`."""
        for end in self._ends:
            end.send(("do", (method, *arguments)))
        found = [end.recv() for end in self._ends]
        for each in found:
            if isinstance(each, TrialFailure):
                raise each
        return found

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()


@pytest.fixture(scope="module")
def data(digits: SplitData, digits_test: SplitData) -> RunData:
    return RunData(train=digits, test=digits_test, with_test=True)


@pytest.fixture(scope="module")
def processes(data: RunData) -> Iterator[Processes]:
    found = Processes(data)
    yield found
    found.close()


def _config(make_config: MakeConfig, name: str, **values: Any) -> DigitPairsConfig:
    """Of a run by sgd: where the exact gradient is 0, Adam makes steps of its rounding."""
    values = {"training__optimizer": "sgd", "training__learning_rate": 0.02, **values}
    return make_config(name, 16, **{"training__epochs": 3, **values})


def _alone(config: DigitPairsConfig, data: RunData) -> Training:
    return in_float64(trainable_of(config).open_run(config, data))


@pytest.mark.parametrize(
    ("name", "batch_size"),
    [
        ("convnet", 33),  # 36 samples: of the first 33 a process has 16, the other 17.
        ("siamese", 36),
        ("mlp", 35),  # One sample is left, which both train on.
    ],
)
def test_a_team_computes_what_one_process_does(
    make_config: MakeConfig, processes: Processes, data: RunData, name: str, batch_size: int
) -> None:
    """Batch normalisation, dropout, unequal parts, a rest smaller than the team."""
    config = _config(make_config, name, training__batch_size=batch_size)
    one, team = _alone(config, data), TeamRun(1, config, data, processes)
    assert n_samples(one.parts["train"]) == 36
    assert team.device_name == "2 processes"
    for _ in range(3):
        found, wanted = team.run_epoch().metrics, one.run_epoch().metrics
        assert found == pytest.approx(wanted, rel=CLOSE)
    assert team.finished
    assert (team.kept, team.other) != (None, None)
    weights = team.weights()
    assert weights.keys() == one.weights().keys()
    for key, tensor in one.weights().items():
        torch.testing.assert_close(weights[key], tensor, rtol=CLOSE, atol=1e-12)


def test_a_team_evaluates_what_it_keeps(
    make_config: MakeConfig, processes: Processes, data: RunData
) -> None:
    config = _config(make_config, "mlp", training__epochs=1)
    one = trainable_of(config).open_run(config, data)
    team = TeamRun(SINGLE, config, data, processes)
    one.run_epoch()
    team.run_epoch()
    found = team.evaluate(None)
    assert found == pytest.approx(one.evaluate(data.test), rel=1e-5)
    assert "test_error" in found


def test_what_the_members_take_is_added_up(processes: Processes) -> None:
    usages = processes.ask("usage")
    assert [each["memory"] > 2**20 for each in usages] == [True] * SIZE
    found = together([{"cpu": 0.5, "gpu_memory": None}, {"cpu": 0.75, "gpu_memory": 3}])
    assert found == {"cpu": 1.25, "gpu_memory": 3}
    assert together(usages)["memory"] == sum(each["memory"] for each in usages)


def test_a_run_goes_on_from_one_process_to_a_team_and_back(
    make_config: MakeConfig, processes: Processes, data: RunData
) -> None:
    config = _config(make_config, "convnet")
    whole, first = _alone(config, data), _alone(config, data)
    wanted = [whole.run_epoch().metrics for _ in range(3)]
    first.run_epoch()
    team, last = TeamRun(2, config, data, processes), _alone(config, data)
    team.load_state_dict(first.state_dict())
    assert (team.epoch, team.kept) == (1, first.kept)
    assert team.run_epoch().metrics == pytest.approx(wanted[1], rel=CLOSE)
    last.load_state_dict(team.state_dict())
    assert last.run_epoch().metrics == pytest.approx(wanted[2], rel=CLOSE)


def test_a_loss_that_is_not_finite_ends_a_run_and_not_its_team(
    make_config: MakeConfig, processes: Processes, data: RunData
) -> None:
    config = _config(make_config, "mlp", training__learning_rate=1e300)
    team = TeamRun(3, config, data, processes)
    with pytest.raises(NonFiniteLossError, match="the loss is not finite in epoch 1"):
        team.run_epoch()
    processes.ask("keep", [])
    config = _config(make_config, "mlp")
    assert TeamRun(3, config, data, processes).run_epoch().is_finite()


def test_an_error_in_a_member_is_told_like_any_other(
    make_config: MakeConfig, processes: Processes, data: RunData
) -> None:
    """The members do not know the run, as it is let go once it is open."""
    run = _assigned(make_config, data, processes)
    assert run.prepare() is None
    processes.ask("keep", [])
    report = run.step()
    assert re.fullmatch(r"member\.py, line \d+: KeyError: 4", report["failure"])
    assert report["traceback"].endswith("KeyError: 4\n")
    assert report["worker"].endswith(" 2 processes")
    assert run.failed


def test_a_team_that_is_lost_is_no_failure_of_the_run(
    make_config: MakeConfig, data: RunData
) -> None:
    class Lost:
        def ask(self, method: str, *arguments: Any) -> list[Any]:
            raise LostTeamError("one of its processes died: SIGKILL")

    run = _assigned(make_config, data, Lost())
    with pytest.raises(LostTeamError):
        run.step()
    assert not run.closed


def _assigned(make_config: MakeConfig, data: RunData, members: Members) -> AssignedRun:
    assignment = {
        "run_id": 4,
        "config": _config(make_config, "mlp").model_dump(mode="json"),
        "checkpoint": None,
        "n_epochs": 0,
        "evaluate": False,
        "together": False,
    }
    return AssignedRun(assignment, data, members=members)


@pytest.mark.parametrize(
    ("function", "shape"),
    [(F.dropout, (7, 3)), (F.dropout2d, (7, 3, 2, 2)), (F.dropout, (14, 5))],  # Two rows a sample.
)
def test_the_masks_of_a_part_are_a_part_of_the_masks(
    function: Callable[..., torch.Tensor], shape: tuple[int, ...]
) -> None:
    key, x = torch.tensor(2**40 + 17), torch.ones(shape)
    with SeededDropout(key):
        whole = function(x, 0.5)
    per_sample = shape[0] // 7
    for part in (slice(0, 3), slice(3, 7)):
        rows = slice(part.start * per_sample, part.stop * per_sample)
        with SeededDropout(key, part):
            assert torch.equal(function(x[rows], 0.5), whole[rows])


@pytest.mark.parametrize("n", [3, 4, 10, 11])
def test_parts_are_all_of_a_batch(n: int) -> None:
    parts = [Team(rank, 3).part(n) for rank in range(3)]
    rows = [list(range(n))[part] for part in parts if part is not None]
    assert [i for each in rows for i in each] == list(range(n))
    assert min(map(len, rows)) >= 1


def test_a_batch_of_too_few_samples_has_no_parts() -> None:
    assert Team(0, 3).part(2) is None
