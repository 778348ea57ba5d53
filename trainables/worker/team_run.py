"""A run that several processes train together, as its worker has it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Protocol

from space.config import RunConfig
from space.epochs import Epoch
from trainables.contract.run import Run
from trainables.contract.run_data import RunData

__all__ = ["Members", "TeamRun"]


class Members(Protocol):
    """The processes of a team; each is a `trainables.worker.member.Member`."""

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Have all of them do something at the same time.

        Args:
            method: Of `Member`.
            arguments: What it is given.

        Returns:
            What each gives.

        Raises:
            TrialFailure: If the run cannot go on.
            UserError: If a user has to mend something.
            LostTeamError: If one of them is no more, or failed where the others wait for it.
        """


class TeamRun(Run):
    """A run whose books are here, and whose network and data are with the members of a team.

    They hold the same state at every moment, so the first one's is the run's.
    """

    def __init__(self, run_id: int, config: RunConfig, data: RunData, members: Members) -> None:
        """
        Args:
            run_id: What the members know it by.
            config: The resolved config.
            data: What it is trained on, and what the members have.
            members: The processes.
        """
        super().__init__(config, config.measured, data.train.fingerprint)
        self._run_id, self._members = run_id, members
        tree = config.model_dump(mode="json")
        self._device_names: list[str] = members.ask("open", run_id, tree)

    @property
    def device_name(self) -> str:
        """How many processes, and the GPUs' name."""
        n, name = len(self._device_names), self._device_names[0]
        return f"{n} x {name}" if name else f"{n} processes"

    def run_epoch(self) -> Epoch:
        """See `Run.run_epoch`."""
        epoch: Epoch
        epoch, self.notice = self._members.ask("run_epoch", self._run_id)[0]
        self.complete_epoch(epoch)
        return epoch

    def evaluate(self, test: Any, *, other: bool = False) -> Mapping[str, float]:
        """See `Run.evaluate`; the members have the test split."""
        found: Mapping[str, float] = self._members.ask("evaluate", self._run_id, other)[0]
        return found

    def weights(self) -> Mapping[str, Any]:
        """The kept state's, on the CPU; empty before the first epoch's end."""
        return self.state_dict()["kept_model"] or {}

    def state_dict(self) -> dict[str, Any]:
        """See `Run.state_dict`."""
        import torch

        packed = next(each for each in self._members.ask("state", self._run_id) if each)
        state: dict[str, Any] = torch.load(io.BytesIO(packed), map_location="cpu")
        return state

    def _state(self) -> dict[str, Any]:
        return self.state_dict()

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._kept_state = self._other_state = None  # The members have them.
        self._members.ask("load", self._run_id, dict(state))

    def _evaluable_state(self) -> None:
        return None
