"""Random draws of one subject.

References: numpy.random.SeedSequence - the pair (seed, subject) names an independent stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """The stream of one subject: it never depends on how many other subjects there are."""

    def __init__(self, seed: int, subject: int) -> None:
        self._rng = np.random.default_rng([seed, subject])
        self._uniform = self._rng.random

    def chance(self, probability: float) -> bool:
        return self._uniform() < probability

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included; `low` when the range is empty."""
        return low + int(self._uniform() * max(high - low + 1, 1))

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._uniform() * len(items))]

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        totals = list(accumulate(weights))
        point = self._uniform() * totals[-1]
        return next(item for item, total in zip(items, totals, strict=True) if point < total)

    def normal(self, mean: float, sd: float) -> float:
        return float(self._rng.normal(mean, sd))

    def exponential(self, mean: float) -> float:
        return float(self._rng.exponential(mean))
