"""Cut where the scores fall most."""

from __future__ import annotations

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from tamis.errors import ConfigError
from tamis.parts.numbers import NonNegative, ShareBelowOne
from tamis.parts.part import part
from tamis.select.policies.base import TOLERANCE, Floats, Policy, min_max


@part
class LargestGap(Policy):
    """Keep what comes before the largest drop between neighbouring scores; of equal drops the first counts.

    The first `head` and the last `tail` of the n - 1 gaps are not looked at (0.5: no cut below the median). A drop of
    less than `guard` standard deviations of the list is noise, as in a flat or linear list: then `fallback` are kept.
    `buffer` more are kept after the cut. `window` > 1 looks at drops of the moving average over that many scores and
    puts the cut in its middle. Does not depend on shift or scale. Noisy on lists under about 20.
    Source: Adaptive-k (Taguchi et al., 2025); head, guard and fallback are ours.

    >>> LargestGap().count(np.array([0.92, 0.90, 0.88, 0.61, 0.60, 0.58, 0.57, 0.30, 0.29, 0.28]))
    3
    """

    tail: ShareBelowOne = 0.5
    head: ShareBelowOne = 0.0
    guard: NonNegative = 0.5
    fallback: NonNegativeInt = 5
    buffer: NonNegativeInt = 0
    window: PositiveInt = 1

    def __post_init__(self) -> None:
        if self.head + self.tail >= 1:
            raise ConfigError(f"LargestGap: head {self.head} and tail {self.tail} leave no gap to look at")

    def count(self, scores: Floats) -> int:
        n = len(scores)
        if n < 2:
            return n
        window = self.window if self.window < n else 1
        level = min_max(scores)
        drops = level[:-window] - level[window:]
        first = int((n - 1) * self.head)
        looked_at = drops[first : max(first + 1, len(drops) - int((n - 1) * self.tail))]
        largest = looked_at.max(initial=0.0)
        if largest <= 0 or largest < self.guard * level.std():
            return min(self.fallback, n)
        cut = first + _first_run(looked_at >= largest - TOLERANCE, window) + window // 2 + 1
        return min(n, cut + self.buffer)


def _first_run(largest: np.ndarray, longest: int) -> int:
    """The middle of the first run of places that share the largest drop: a clean step, averaged, makes such a run."""
    start = int(largest.argmax())
    run = largest[start : start + longest]
    length = len(run) if run.all() else int(run.argmin())
    return start + (length - 1) // 2


@part
class Spike(Policy):
    """Keep what comes before the first drop that is larger than both its neighbours; without one, as `LargestGap`.

    In other words: cut where the second difference first turns positive after a negative. Sensitive to noise. Does
    not depend on shift or scale. Source: Adaptive-k's code (Taguchi et al., 2025).
    """

    def count(self, scores: Floats) -> int:
        bend = np.diff(min_max(scores), 2)
        spikes = np.flatnonzero((bend[1:] > TOLERANCE) & (bend[:-1] < -TOLERANCE))
        return int(spikes[0]) + 2 if len(spikes) else LargestGap().count(scores)
