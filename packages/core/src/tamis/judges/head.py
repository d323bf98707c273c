"""One candidate, scored by a model that was trained to score."""

from __future__ import annotations

from typing import Any, ClassVar

from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, texts
from tamis.parts.part import part
from tamis.values.answers import Score
from tamis.values.calls import Capability, Classify
from tamis.values.ranking import finite
from tamis.values.scale import UNKNOWN, Scale


@part
class Head(OneCall):
    """The score of a model's own head. Scale: the model's. Source: Nogueira and Cho, 2019 (monoBERT)."""

    unit: ClassVar[Unit] = "point"
    show: Show = ()

    def call(self, asked: Asked, attempt: int = 0) -> Classify:
        return Classify(asked.model, asked.query.text, texts(asked, self.show)[0])

    def read(self, answer: Score, count: int) -> Verdict:
        return Verdict.scored([finite(answer.value)])

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("classify",)

    def scale(self, model: Any) -> Scale:
        found: Scale = getattr(model, "scale", UNKNOWN)
        return found
