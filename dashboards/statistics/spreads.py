"""How much one source of randomness alone makes runs differ, from two of them at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

from dashboards.statistics.sign_flips import Interval

__all__ = ["Spread", "spread_of_blocks", "spread_of_twos"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A standard deviation and its interval.

    Attributes:
        n: The runs, or twos of runs, that it is of.
        std: The standard deviation.
        interval: Its 95 % interval by the chi-square distribution, which assumes normal values.
            None where nothing differed.
    """

    n: int
    std: float
    interval: Interval | None

    @property
    def variance(self) -> float:
        """Its square."""
        return self.std**2


def spread_of_blocks(blocks: Sequence[Sequence[float]], n_free: int) -> Spread:
    """Of runs that share something within a block and nothing with other blocks.

    Half the mean square difference of runs of different blocks is their variance, whatever runs of
    one block share.

    Args:
        blocks: At least two, of at least one value each.
        n_free: How many of the values are independent, at least 2.
    """
    squares = [
        (one - other) ** 2 / 2
        for mine, theirs in itertools.combinations(blocks, 2)
        for one in mine
        for other in theirs
    ]
    return _spread(sum(squares) / len(squares), sum(map(len, blocks)), n_free - 1)


def spread_of_twos(twos: Sequence[tuple[float, float]], n_free: int) -> Spread:
    """What a source brings that two runs do not share, while they share all else.

    Half the mean square difference is the mean, over what is shared, of the variance that the
    source alone brings.

    Args:
        twos: At least one; two values each.
        n_free: How many of them are independent, at least 1.

    Source:
        Jansen, Analysis of variance designs for model output, Computer Physics Communications 117,
        1999: the total effect of an input.
    """
    squares = [(one - other) ** 2 / 2 for one, other in twos]
    return _spread(sum(squares) / len(squares), len(twos), n_free)


def _spread(variance: float, n: int, n_free: int) -> Spread:
    interval = None
    if variance > 0:
        low, high = (float(scipy.stats.chi2.ppf(p, n_free)) for p in (0.975, 0.025))
        interval = Interval(math.sqrt(variance * n_free / low), math.sqrt(variance * n_free / high))
    return Spread(n=n, std=math.sqrt(variance), interval=interval)
