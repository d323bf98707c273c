"""G-RAG's metrics over all relevant passages, and their forms for ties (Dong et al., 2024).

`ranks`: each relevant passage's place, 1 is best; the forms for ties take the scores of the whole list and the indices
of the relevant passages in it. A relevant passage that was not found has rank `inf`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def mrr_all(ranks: Sequence[float]) -> float:
    """Mean over all relevant passages (not the first only) of 1 / rank.

    >>> mrr_all([1, 4, math.inf])
    0.4166666666666667
    """
    return fmean(1 / rank for rank in ranks)


def mean_hits(ranks: Sequence[float], k: int) -> float:
    """Share of the relevant passages among the first k."""
    return fmean(float(rank <= k) for rank in ranks)


def places(scores: Sequence[float | None], found: int) -> tuple[int, int]:
    """How many are strictly above passage `found`, and how many tie with it, itself included.

    Without a score a passage ties with none: its place in the list counts.
    """
    own = scores[found]
    if own is None:
        return found, 1
    above = sum(
        (other is None and index < found) or (other is not None and other > own) for index, other in enumerate(scores)
    )
    return above, sum(other == own for other in scores)


def mtrr(above: int, tied: int) -> float:
    """1 / mean of the best and the worst rank a tied passage can have.

    >>> round(mtrr(above=1, tied=3), 4)
    0.3333
    """
    return 2 / (2 * above + tied + 1)


def expected_rr(above: int, tied: int) -> float:
    """Mean of 1 / rank when ties are broken at random: never less than `mtrr`.

    >>> round(expected_rr(above=1, tied=3), 4)
    0.3611
    """
    return fmean(1 / (above + place) for place in range(1, tied + 1))


def tied_hits(above: int, tied: int, k: int) -> float:
    """Chance to be among the first k when ties are broken at random: the paper's TMHits, corrected.

    As printed, the paper's form exceeds 1 when the tied group fits, and counts a passage below k others as a hit.

    >>> tied_hits(above=4, tied=12, k=10), tied_hits(above=1, tied=2, k=10), tied_hits(above=10, tied=1, k=10)
    (0.5, 1.0, 0.0)
    """
    return 0.0 if above >= k else min(1.0, (k - above) / tied)


NOWHERE = math.inf
"""The rank of what was not found."""
