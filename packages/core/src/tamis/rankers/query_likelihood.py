"""Score each candidate by how likely the query is after it."""

from __future__ import annotations

from tamis.judges.base import Judge
from tamis.judges.likelihood import Likelihood
from tamis.parts.part import part
from tamis.prompts.prompting import PassageTokens
from tamis.prompts.template import TemplateRef
from tamis.rankers.judged import Judged
from tamis.schedules.base import Schedule
from tamis.schedules.single import Map
from tamis.stage.scoring import Limit
from tamis.values.model import ModelRef


@part
class QueryLikelihood(Judged):
    """Sort by log p(query | passage), the sum over the query's tokens. One `prompt_logprobs` call per candidate.

    `normalise`: the mean instead of the sum. `template`: the wording a checkpoint was trained with, or its name. Scale:
    `log_likelihood`. Source: UPR (Sachan et al., 2022).
    """

    model: ModelRef
    depth: Limit = None
    passage_tokens: PassageTokens = 384
    normalise: bool = False
    template: TemplateRef = None

    def __post_init__(self) -> None:
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return Likelihood(self.passage_tokens, self.normalise, template=self.template), Map()
