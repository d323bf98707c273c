"""Score each candidate by how likely a language model is to call it relevant."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tamis.calls import Plan
from tamis.judges.relevance import label_probability, relevance_call
from tamis.models.base import require
from tamis.part import part
from tamis.rankers.scoring import Depth, failure_notices, read, rescored
from tamis.ranking import Ranking
from tamis.references import ModelRef
from tamis.scale import PROBABILITY
from tamis.stage import Stage


@part
class Pointwise(Stage):
    """Sort by p(`labels[0]`) against p(`labels[1]`) as the model's next word. One `choice_logprobs` call a candidate.

    Scale: `probability` (not calibrated). Each passage is cut to `passage_tokens`. Source: Zhuang et al., 2023.
    """

    model: ModelRef
    depth: Depth = None
    labels: tuple[str, str] = ("Yes", "No")
    passage_tokens: Annotated[int, Field(ge=16)] = 512

    def __post_init__(self) -> None:
        require(self.model, "choice_logprobs", "Pointwise")

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        answers = yield [
            relevance_call(self.model, ranking.query, ranked.candidate.full_text, self.labels, self.passage_tokens)
            for ranked in head
        ]
        scores, failures = read(answers, label_probability)
        return rescored(ranking, scores, PROBABILITY).warn(*failure_notices("Pointwise", head, failures))
