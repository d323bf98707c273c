"""Score each candidate with a cross-encoder."""

from __future__ import annotations

from tamis.calls import Classify, Plan
from tamis.models.base import require
from tamis.part import part
from tamis.rankers.scoring import Depth, failure_notices, read, rescored
from tamis.ranking import Ranking
from tamis.references import ModelRef
from tamis.scale import UNKNOWN
from tamis.stage import Stage


@part
class CrossEncoder(Stage):
    """Sort by the score a cross-encoder gives (query, candidate). One `classify` call a candidate, all in one round.

    The scale is the model's own (usually `logit`). Source: Nogueira and Cho, 2019 (monoBERT).

    >>> from tamis.models import Function
    >>> overlap = Function(lambda call: len({*call.query.split()} & {*call.text.split()}), "classify")
    >>> CrossEncoder(overlap).rerank("tall mountain", ["a recipe", "a tall mountain"]).positions
    (1, 0)
    """

    model: ModelRef
    depth: Depth = None

    def __post_init__(self) -> None:
        require(self.model, "classify", "CrossEncoder")

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        answers = yield [Classify(self.model, ranking.query.text, ranked.candidate.full_text) for ranked in head]
        scores, failures = read(answers, lambda answer: answer.value)
        scale = getattr(self.model, "scale", UNKNOWN)
        return rescored(ranking, scores, scale).warn(*failure_notices("CrossEncoder", head, failures))
