"""Keep nothing when nothing seems good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import FiniteFloat

from tamis.errors import ConfigError
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.select.calibrate.artefact import ArtefactRef, Fitted, check_scorer
from tamis.select.calibrate.confidence import Confidence, ConfidenceRef, Max
from tamis.stage.base import Selection, Stage
from tamis.values.calls import Plan
from tamis.values.ranking import Notice, Ranking, Why, finite
from tamis.values.scale import DISTANCES, Kind, Kinds


@part
class Abstention(Fitted):
    """Fitted: a confidence and the `threshold` under which to abstain; `None`: never."""

    confidence: ConfidenceRef
    threshold: FiniteFloat | None = None


@part
class Abstain(Selection):
    """Drop all candidates (`abstained`) when the confidence read from their scores is below the threshold.

    Takes a fitted `artefact`, or a label-free `confidence` (`max`, `std`, `gap`) and a `threshold` on it. The
    confidence is reported in `Ranking.confidence` either way; with neither artefact nor threshold nothing is ever
    dropped. Where a candidate among the judged ones has no score, a confidence would say more about the failure than
    about the candidates: then all are kept and the ranking says so. Refuses `ordinal` scores.

    >>> from tamis import Lexical
    >>> (Lexical() | Abstain(threshold=0.1)).rerank("zebra", ["bread", "butter"]).abstained
    True
    """

    artefact: ArtefactRef | None = None
    confidence: Annotated[ConfidenceRef, OPTIONAL] = NOT_GIVEN
    threshold: FiniteFloat | None = None

    usual: ClassVar[Mapping[str, Any]] = {"confidence": Max()}
    drops: ClassVar[tuple[Why, ...]] = ("abstained",)

    def __post_init__(self) -> None:
        off = "with an artefact, which has one of its own" if self.artefact else None
        settle(self, "confidence", off=off, remedy="the artefact")
        if self.artefact is not None:
            self.artefact.holds(Abstention, by="Abstain")
            if self.threshold is not None:
                raise ConfigError("Abstain takes an artefact or a threshold, not both")

    @property
    def accepts(self) -> Kinds:
        return DISTANCES if self.artefact is None else DISTANCES & self.artefact.kinds

    def remedy(self, kind: Kind) -> str:
        return super().remedy(kind) if self.artefact is None else self.artefact.remedy

    def follows(self, earlier: Sequence[Stage]) -> None:
        check_scorer(self.artefact, earlier)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        if not ranking.kept:
            return ranking
        self.check_scale(ranking)
        scores = judged_head(ranking)
        if scores is None:
            said = "Abstain: some candidates were not judged, so that the confidence is not known; all are kept"
            return ranking.warn(Notice(said))
        rule = Abstention(self.confidence, self.threshold) if self.artefact is None else self.artefact.holds(Abstention)
        sure = finite(_of(rule.confidence, scores))
        ranking = replace(ranking, confidence=sure)
        if sure is None or rule.threshold is None or sure >= rule.threshold:
            return ranking
        return replace(ranking.drop("abstained", lambda index, ranked: True), abstained=True)


def _of(confidence: Confidence, scores: Sequence[float]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return confidence.of(np.array(scores))


def judged_head(ranking: Ranking) -> list[float] | None:
    """The scores of the kept candidates, without those after the last one judged: they lie beyond a stage's depth.
    `None` when one in front of it, or all, have none."""
    scores = [ranked.score for ranked in ranking.kept]
    while scores and scores[-1] is None:
        scores.pop()
    known = [score for score in scores if score is not None]
    return known if known and len(known) == len(scores) else None
