"""What the first stage tells of a pool: scores, an order, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tamis.rankers.learned.features import Read, spanned
from tamis.rankers.learned.match import Floats
from tamis.rankers.learned.model import Mode
from tamis.rankers.learned.trust import agreement


@dataclass(frozen=True)
class FirstStageSaid:
    """`prior`: how good each candidate is by it, 0..1. `worth`: the same, on the scale on which a sum of what words
    tell should explain it: scores themselves, the logarithm of a rank. `span`: (max - min) / max |score|."""

    mode: Mode
    prior: Floats | None = None
    worth: Floats | None = None
    span: float | None = None


NOTHING = FirstStageSaid("texts")


def of_scores(scores: Sequence[float | None]) -> FirstStageSaid:
    """Scores of which at least two differ; one that is missing counts as one in the middle.

    >>> said = of_scores([4.0, None, 3.0, 1.0])
    >>> said.span, said.prior.round(2).tolist()
    (0.75, [1.0, 0.67, 0.67, 0.0])
    """
    known = [score for score in scores if score is not None]
    middle = float(np.median(known))
    relative = np.array([middle if score is None else score for score in scores]) / max(map(abs, known))
    prior = spanned(relative)
    return FirstStageSaid("scores", prior, prior, float(relative.max() - relative.min()))


def of_order(size: int) -> FirstStageSaid:
    """
    >>> of_order(3).prior.round(2).tolist()
    [1.0, 0.63, 0.5]
    """
    places = np.arange(size)
    return FirstStageSaid("order", 1.0 / np.log2(2.0 + places), -np.log1p(places))


def signs(
    said: FirstStageSaid, read: Read, parts: Mapping[str, Floats], cosines: Floats | None = None
) -> tuple[float, float | None, float | None]:
    """What `Trust.times` asks for. `parts`: what each feature adds to the score."""
    assert said.worth is not None
    told = np.sum([parts[name] for name in read.plain], axis=0)
    return read.explained(said.worth, cosines), said.span, agreement(said.worth, told) if said.span is None else None
