"""What the scores of a first stage are. Some stores give distances, of which the smallest is the best."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, cast, get_args

from tamis.errors import InputError, TamisError

Scores = Literal["detect", "similarity", "distance", "ignore"]
"""What first-stage scores are. `"similarity"`: the largest is the best. `"distance"`: the smallest is the best; they
are negated, so that the largest is. `"ignore"`: they say nothing, only the order counts. `"detect"`: similarities,
unless they rise along the incoming order (`rise`): then they are distances, and a notice says so. Where almost all of
them rise (`mostly_rise`) they are still similarities, and a notice asks what they are."""

SCORED, RISING = 10, 0.8
"""From how many scores on, and from which share of rising steps on, an order that is not sorted looks like that of
distances. A random order reaches that share in at most 4 of 1,000 cases."""


UNSURE = (
    "scores rise almost everywhere along the incoming order: read as similarities, the largest being the best; "
    "if they are distances, pass scores='distance'"
)


def checked(scores: Any, error: type[TamisError] = InputError) -> Scores:
    """`scores`, or an `error` that lists what it may be."""
    if not isinstance(scores, str) or scores not in get_args(Scores):
        raise error(f"scores must be one of {', '.join(map(repr, get_args(Scores)))}; got {scores!r}")
    return cast(Scores, scores)


def rise(scores: Sequence[float | None]) -> bool:
    """Whether scores only rise along the incoming order, as those of a store that returns distances do. Ties are
    allowed, missing ones are passed over; one score, or equal ones, do not rise.

    >>> rise([0.2, None, 0.2, 0.7]), rise([0.9, 0.7]), rise([0.5, 0.5])
    (True, False, False)
    """
    known = [score for score in scores if score is not None]
    return len(known) > 1 and known[0] < known[-1] and all(a <= b for a, b in pairwise(known))


def mostly_rise(scores: Sequence[float | None]) -> bool:
    """Whether of many scores almost all steps rise, as of distances a few of which are in a wrong place. Steps between
    equal scores are not counted, missing scores are passed over.

    >>> mostly_rise([0.1, 0.2, 0.3, 0.5, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0]), mostly_rise([0.1, 0.2, 0.15])
    (True, False)
    """
    known = [score for score in scores if score is not None]
    steps = [a < b for a, b in pairwise(known) if a != b]
    return len(known) >= SCORED and bool(steps) and sum(steps) >= RISING * len(steps)


def similarities(scores: Sequence[float | None], meaning: Scores) -> tuple[list[float | None], str | None]:
    """`scores` as similarities, `None` where they say nothing; and what to report, if anything.

    >>> similarities([0.2, None, 0.7], "distance")
    ([-0.2, None, -0.7], None)
    """
    if meaning == "ignore":
        return [None] * len(scores), None
    if meaning == "detect" and not rise(scores):
        return list(scores), UNSURE if mostly_rise(scores) else None
    said = None
    if meaning == "detect":
        known = [score for score in scores if score is not None]
        said = (
            f"the scores of the first stage rise along its order, from {known[0]:.4g} to {known[-1]:.4g}: they are "
            "read as distances, the smallest being the best. Say what they are with scores='distance', 'similarity' or "
            "'ignore'"
        )
    if meaning == "distance" or said:
        return [None if score is None else 0.0 - score for score in scores], said
    return list(scores), None
