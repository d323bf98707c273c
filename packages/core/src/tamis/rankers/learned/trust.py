"""How far to trust the first stage, told without labels: the less the words here explain it, the more it knows.

BM25 sorts by the words that the learned sum counts too, and the sum reads them better. An order that these words do
not explain was made by something that reads more than words: a good embedder, a learned sparse model, a cross-encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tamis.rankers.learned.match import Floats

UNKNOWN, DOUBT = 0.6, 10
"""A pool of few texts tells little: its share is drawn towards `UNKNOWN`, as if `DOUBT` texts had said so."""
RIDGE = 1.0
CHANCE = 2.0
"""Agreement of an order with words that a shuffled pool reaches once in forty."""


@dataclass(frozen=True)
class Trust:
    """How many times more the first stage counts: `most` up to the share `low` of it that words explain, once at `high`
    and above, and in between by a straight line.

    Scores tell a second thing: those of BM25 fall to a small part of the best within a pool, cosines hardly fall. So
    all of it holds up to the relative span `narrow` of the scores, (max - min) / max |score|, and none of it from
    `wide`.
    """

    low: float
    high: float
    most: float
    narrow: float
    wide: float

    def times(self, explained: float, span: float | None = None, agreement: float | None = None) -> float:
        """At least 1. `span`: where there are scores; `agreement`: where there is an order alone. A retriever always
        agrees with words a little; an order that does no more than chance may be anything.

        >>> trust = Trust(0.3, 0.6, 5.0, 0.4, 0.8)
        >>> [round(trust.times(share), 6) for share in (0.1, 0.45, 0.9)], round(trust.times(0.1, span=0.6), 6)
        ([5.0, 3.0, 1.0], 3.0)
        """
        more = (self.most - 1.0) * _falling(explained, self.low, self.high)
        if span is not None:
            more *= _falling(span, self.narrow, self.wide)
        if agreement is not None:
            more *= 1.0 - _falling(agreement, 0.0, CHANCE)
        return 1.0 + more


NEUTRAL = Trust(0.0, 1.0, 1.0, 0.0, 1.0)
"""Once, always."""


def _falling(value: float, low: float, high: float) -> float:
    """1 up to `low`, 0 from `high`."""
    return min(1.0, max(0.0, (high - value) / (high - low)))


def explained(given: Floats, evidence: Floats) -> float:
    """The share of the variance of `given`, shape (n,), that a sum of the columns of `evidence`, shape (n, m),
    explains: 0..1, adjusted for the number of columns (Ezekiel, 1930) and drawn towards `UNKNOWN` where n is small.

    No column may count against: more evidence never means less. `UNKNOWN` where `given` is all the same.

    >>> given = np.arange(200.0)
    >>> explained(given, given[:, None]) > 0.95, explained(given, np.sin(given)[:, None]) < 0.05
    (True, True)
    """
    apart = evidence - evidence.mean(axis=0)
    spread = apart.std(axis=0)
    apart = apart[:, spread > 1e-9] / spread[spread > 1e-9]
    target = given - given.mean()
    size, columns = apart.shape
    free = size - columns - 1
    if free <= 0 or target.std() <= 1e-12:
        return UNKNOWN
    weights = np.linalg.solve(apart.T @ apart + RIDGE * np.eye(columns), apart.T @ target)
    fitted = apart @ np.maximum(weights, 0.0)
    alike = float(fitted @ target / np.sqrt(max((fitted @ fitted) * (target @ target), 1e-24)))
    share = 1.0 - (1.0 - max(alike, 0.0) ** 2) * (size - 1) / free
    return (max(share, 0.0) * free + UNKNOWN * DOUBT) / (free + DOUBT)


def agreement(given: Floats, words: Floats) -> float:
    """How far two rows of n numbers go together beyond chance: their correlation in standard deviations of that of
    shuffled ones, 1 / sqrt(n).

    >>> rows = np.arange(100.0)
    >>> round(agreement(rows, rows)), agreement(rows, np.zeros(100))
    (10, 0.0)
    """
    one, other = given - given.mean(), words - words.mean()
    scale = float((one @ one) * (other @ other))
    return float(one @ other) / scale**0.5 * len(given) ** 0.5 if scale > 1e-24 else 0.0
