"""One candidate: how likely the query is, once the model has read it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

from tamis.errors import ConfigError
from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, texts
from tamis.parts.part import part
from tamis.prompts.harmless import neutralise
from tamis.prompts.prompting import PassageTokens, fitting
from tamis.prompts.template import TemplateRef
from tamis.text.tokens import truncate
from tamis.values.answers import Failure, Logprobs
from tamis.values.calls import Capability, PromptLogprobs
from tamis.values.model import token_counter
from tamis.values.scale import LOG_LIKELIHOOD, Scale

QUERY_TOKENS = 128
OVERHEAD = 60


@part
class Likelihood(OneCall):
    """log p(query | passage): the sum of the log-probabilities of the query's tokens as a question about the passage.

    The query is cut to 128 tokens. `normalise`: the mean instead of the sum (the same order within a query, comparable
    between queries). The passage is put on one line, so that it cannot add a question of its own. Needs a model that
    was tuned on instructions. `template`: the wording a checkpoint was trained with, or its name; its user turn comes
    before the query, which is its assistant turn. Scale: log likelihood. Source: UPR (Sachan et al., 2022).
    """

    unit: ClassVar[Unit] = "point"
    passage_tokens: PassageTokens = 384
    normalise: bool = False
    show: Show = ()
    template: TemplateRef = None

    def __post_init__(self) -> None:
        if self.template and (self.template.assistant != "{query}" or self.template.system or self.template.apart):
            raise ConfigError("a template for likelihood has a user turn and the assistant turn {query}, no other")

    def call(self, asked: Asked, attempt: int = 0) -> PromptLogprobs:
        model, count = asked.model, token_counter(asked.model)
        question = truncate(asked.query.text, QUERY_TOKENS, count)
        room = fitting(model, 1, self.passage_tokens, OVERHEAD + count(question))
        if self.template:
            query = replace(asked.query, text=question)
            before, after = self.template.messages(model, query, texts(asked, self.show), ["1"], room)
            return PromptLogprobs(model, before.content, after.content)
        passage = truncate(" ".join(neutralise(texts(asked, self.show)[0]).split()), room, count)
        prefix = f"Passage: {passage}\n\nWrite a question that this passage answers.\nQuestion:"
        return PromptLogprobs(model, prefix, f" {question}")

    def read(self, answer: Logprobs, count: int) -> Verdict:
        known = [min(0.0, value) for value in answer.values]
        if not known or not all(map(math.isfinite, (*answer.values, sum(known)))):
            return Verdict.none(count, Failure("malformed", "the answer held no usable number"))
        total = math.fsum(known)
        return Verdict.scored([total / len(answer.values) if self.normalise else total])

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("prompt_logprobs",)

    def scale(self, model: Any) -> Scale:
        return LOG_LIKELIHOOD
