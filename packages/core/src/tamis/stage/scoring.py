"""What every scoring stage shares: from answers to a sorted ranking, with a notice for what went unjudged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from pydantic import PositiveInt

from tamis.values.calls import Failure
from tamis.values.ranking import Notice, Ranked, Ranking, finite
from tamis.values.scale import Scale

Depth = PositiveInt | None
"""How many candidates from the top a stage judges; the others stay behind them in incoming order. `None`: all."""


def rescored(ranking: Ranking, scores: Sequence[float | None], scale: Scale) -> Ranking:
    """Sort by `scores` of the first `len(scores)` kept candidates; the others follow, without a score."""
    judged = [
        Ranked(r.candidate, r.position, finite(score), r.criteria, r.reason, r.lifted_by, r.compressed)
        for r, score in zip_longest(ranking.kept, scores)
    ]
    return ranking.scored(judged, scale)


def read(answers: Sequence[Any], value: Callable[[Any], float | None]) -> tuple[list[float | None], list[Any]]:
    """The value of each answer, `None` where there is none, and the failures, aligned (`None` where all is well)."""
    values: list[float | None] = []
    failures: list[Failure | None] = []
    for answer in answers:
        number = None if isinstance(answer, Failure) else finite(value(answer))
        values.append(number)
        if isinstance(answer, Failure):
            failures.append(answer)
        else:
            failures.append(Failure("malformed", "the answer held no usable number") if number is None else None)
    return values, failures


def failure_notices(by: str, judged: Sequence[Ranked], failures: Sequence[Failure | None]) -> list[Notice]:
    """One notice a kind of failure, naming the candidates it left unjudged."""
    groups: dict[Failure, list[int]] = {}
    for ranked, failure in zip(judged, failures, strict=True):
        if failure is not None:
            groups.setdefault(failure, []).append(ranked.position)
    return [
        Notice(
            f"{by}: {len(positions)} of {len(judged)} candidates were not judged ({failure}); "
            "they keep their incoming order",
            tuple(positions),
        )
        for failure, positions in groups.items()
    ]
